-- A page of a tenant's intents, newest first: from each account as many as the page holds, by the index, then the best.
SELECT s.key, s.at, s.state
FROM unnest($2::text[]) AS wanted (account)
CROSS JOIN LATERAL (
    SELECT key, at, state FROM status.state
    WHERE tenant = $1 AND account = wanted.account
        AND ($4::bigint IS NULL OR at < $4 OR (at = $4 AND key > $5::uuid))
    ORDER BY at DESC, key
    LIMIT $3
) AS s
ORDER BY s.at DESC, s.key
LIMIT $3
