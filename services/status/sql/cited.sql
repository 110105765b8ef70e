-- The views of intents whose events are cited.
SELECT key, state FROM status.state WHERE key = ANY ($1::uuid[])
