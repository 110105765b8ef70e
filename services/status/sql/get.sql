-- One view, and a mark that changes whenever the row does.
SELECT state, xmin::text AS mark FROM status.state WHERE key = $1
