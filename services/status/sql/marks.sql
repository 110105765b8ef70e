-- Which of the watched views have changed? The mark is the row's last writing transaction; reading it costs no decoding.
SELECT key, xmin::text AS mark FROM status.state WHERE key = ANY ($1::uuid[])
