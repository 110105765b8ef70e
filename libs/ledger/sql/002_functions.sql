-- What the lane protocol asks of the database, one function per question. {s} is the service's schema.
-- SQLSTATE DB001: fenced (detail = the lanes). DB002: scope versions (detail = the fresh rows). DB003: claim refused.

-- Is a row held by a live owner? Leases are judged by this database's clock alone.
CREATE OR REPLACE FUNCTION {s}.is_held(l {s}.lane) RETURNS boolean LANGUAGE sql VOLATILE AS $$
    SELECT l.token IS NOT NULL AND l.lease_until > clock_timestamp()
$$;

-- Rule 1: take the row if it is free, run out, or already this token's. Refusals raise, so that a claim over several
-- services takes all of them or none. All rows of a claim get the same epoch: one above the highest (`p_above`).
CREATE OR REPLACE FUNCTION {s}.claim(
    p_lane int, p_token uuid, p_shape text, p_lease_ms int, p_control_seq bigint, p_above bigint, p_format int
) RETURNS TABLE (
    epoch bigint, out_seq bigint, out_hash bytea, published_offset bigint, published_seq bigint, published_hash bytea,
    cursors bytea, previous_token uuid, lease_end_at bigint, quiet_until bigint, unfinished int, suspect text
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    l {s}.lane;
    floor int;
BEGIN
    SELECT f.floor INTO floor FROM {s}.format_floor f FOR SHARE;  -- until the commit: raising it waits for this claim
    IF p_format IS DISTINCT FROM floor THEN
        RAISE EXCEPTION USING ERRCODE = 'DB003', MESSAGE = CASE WHEN p_format > floor THEN 'FORMAT_ABOVE_FLOOR'
            ELSE 'FORMAT_BELOW_FLOOR' END, DETAIL = {s}.format_refusal(p_format, floor);
    END IF;
    INSERT INTO {s}.lane (lane, shape, state_format) VALUES (p_lane, p_shape, p_format) ON CONFLICT DO NOTHING;
    SELECT * INTO l FROM {s}.lane WHERE lane = p_lane FOR UPDATE;
    IF l.halted_reason IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'DB003', MESSAGE = 'HALTED', DETAIL = '{s}: ' || l.halted_reason;
    ELSIF {s}.is_held(l) AND l.token <> p_token THEN
        RAISE EXCEPTION USING ERRCODE = 'DB003', MESSAGE = 'OWNED', DETAIL = '{s}';
    ELSIF l.shape <> p_shape AND (l.out_seq > l.published_seq OR EXISTS (SELECT 1 FROM {s}.side WHERE lane = p_lane)) THEN
        RAISE EXCEPTION USING ERRCODE = 'DB003', MESSAGE = 'OTHER_SHAPE',
            DETAIL = '{s}: lane ' || p_lane || ' has unpublished events of shape ' || l.shape
                || '; start that shape once more and stop it with `deed down`';
    ELSIF l.state_format > p_format THEN
        RAISE EXCEPTION USING ERRCODE = 'DB003', MESSAGE = 'NEWER_FORMAT', DETAIL = '{s}: state format ' || l.state_format;
    ELSIF l.control_seq > p_control_seq THEN
        RAISE EXCEPTION USING ERRCODE = 'DB003', MESSAGE = 'CONTROL_BEHIND', DETAIL = '{s}: needs ' || l.control_seq;
    END IF;
    UPDATE {s}.lane SET epoch = greatest(l.epoch, p_above) + 1, token = p_token, shape = p_shape, state_format = p_format,
        unfinished = l.unfinished + 1, lease_until = clock_timestamp() + p_lease_ms * interval '1 ms'
    WHERE lane = p_lane;
    RETURN QUERY SELECT greatest(l.epoch, p_above) + 1, l.out_seq, l.out_hash, l.published_offset, l.published_seq, l.published_hash,
        l.cursors, l.token, coalesce((extract(epoch FROM l.lease_until) * 1000000)::bigint, 0), l.quiet_until,
        l.unfinished + 1, l.suspect;
END $$;

-- Rule 4: everything a batch decided, or nothing. Rule 3: the write of the lane rows is the fence; it raises if any is not
-- this owner's as it saw it (`p_seen` NULL: epoch only). What a batch does not have is NULL. Rare things (forwards, dead
-- letters, parked inputs) come as JSON.
CREATE OR REPLACE FUNCTION {s}.commit_lanes(
    p_token uuid, p_lease_ms int, p_now bigint,
    p_lanes int[], p_epochs bigint[], p_seen bigint[], p_out_seq bigint[], p_out_hash bytea[],
    p_pub_seq bigint[], p_pub_offset bigint[], p_pub_hash bytea[], p_cursors bytea[], p_control bigint[],
    p_box_lane int[], p_box_first bigint[], p_box_last bigint[], p_box_records bytea[],
    p_state_lane int[], p_state_key uuid[], p_state bytea[],
    p_tenant text[], p_account text[], p_at bigint[], p_label text[],
    p_work_lane int[], p_work_key uuid[], p_work_attempt int[], p_work_kind text[], p_work_due bigint[],
    p_work_why text[], p_work_owner text[], p_idle uuid[],
    p_scope text[], p_stripe int[], p_scope_seen bigint[], p_scope_version bigint[], p_share bigint[],
    p_pending bigint[], p_posted bigint[], p_frozen boolean[], p_cap_seq bigint[],
    p_rare jsonb
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    mine int[];
BEGIN
    IF cardinality(p_lanes) > 1 THEN  -- in one order, so that no two commits wait for each other
        PERFORM 1 FROM {s}.lane l WHERE l.lane = ANY (p_lanes) ORDER BY l.lane FOR UPDATE;
    END IF;
    WITH written AS (
        UPDATE {s}.lane l SET
            out_seq = x.out_seq, out_hash = x.out_hash, published_seq = x.pub_seq, published_offset = x.pub_offset,
            published_hash = x.pub_hash, cursors = x.cursors, control_seq = greatest(l.control_seq, x.control),
            lease_until = clock_timestamp() + p_lease_ms * interval '1 ms', unfinished = 0, suspect = ''
        FROM unnest(p_lanes, p_epochs, p_seen, p_out_seq, p_out_hash, p_pub_seq, p_pub_offset, p_pub_hash, p_cursors,
            p_control) AS x (lane, epoch, seen, out_seq, out_hash, pub_seq, pub_offset, pub_hash, cursors, control)
        WHERE l.lane = x.lane AND l.epoch = x.epoch AND l.token = p_token AND l.halted_reason IS NULL
            AND (x.seen IS NULL OR l.out_seq = x.seen)
        RETURNING l.lane
    )
    SELECT array_agg(w.lane) INTO mine FROM written w;
    IF cardinality(mine) IS DISTINCT FROM cardinality(p_lanes) THEN
        RAISE EXCEPTION USING ERRCODE = 'DB001', MESSAGE = 'FENCED',
            DETAIL = (SELECT json_agg(n) FROM unnest(p_lanes) AS n WHERE n <> ALL (coalesce(mine, '{}')))::text;
    END IF;
    IF cardinality(p_scope) > 0 THEN
        PERFORM {s}.write_scopes(p_scope, p_stripe, p_scope_seen, p_scope_version, p_share, p_pending, p_posted,
            p_frozen, p_cap_seq);
    END IF;
    IF cardinality(p_box_lane) > 0 THEN
        INSERT INTO {s}.outbox (lane, first_seq, last_seq, records)
        SELECT * FROM unnest(p_box_lane, p_box_first, p_box_last, p_box_records);
    END IF;
    IF cardinality(p_state_key) > 0 THEN
        INSERT INTO {s}.state (lane, key, state, tenant, account, at, label)
        SELECT * FROM unnest(p_state_lane, p_state_key, p_state, p_tenant, p_account, p_at, p_label)
        ON CONFLICT (key) DO UPDATE SET state = excluded.state, tenant = excluded.tenant, account = excluded.account,
            at = excluded.at, label = excluded.label;
    END IF;
    IF cardinality(p_work_key) > 0 THEN
        INSERT INTO {s}.work AS w (lane, key, attempt, kind, due_at, why, owner, since_at)
        SELECT x.*, p_now FROM unnest(p_work_lane, p_work_key, p_work_attempt, p_work_kind, p_work_due, p_work_why,
            p_work_owner) AS x
        ON CONFLICT (key) DO UPDATE SET attempt = excluded.attempt, kind = excluded.kind, due_at = excluded.due_at,
            why = excluded.why, owner = excluded.owner, since_at = excluded.since_at,
            started_at = CASE WHEN w.attempt = excluded.attempt AND excluded.kind = 'DISPATCHED' THEN w.started_at END;
    END IF;
    IF cardinality(p_idle) > 0 THEN
        DELETE FROM {s}.work WHERE key = ANY (p_idle);
    END IF;
    IF p_rare IS NOT NULL THEN
        PERFORM {s}.write_rare(p_rare);
    END IF;
END $$;

-- Scope stripes are shared by lanes: each must still have the version that the batch saw. All are locked in one order.
CREATE OR REPLACE FUNCTION {s}.write_scopes(
    p_scope text[], p_stripe int[], p_seen bigint[], p_version bigint[], p_share bigint[], p_pending bigint[],
    p_posted bigint[], p_frozen boolean[], p_cap_seq bigint[]
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    good bigint;
    fresh jsonb;
BEGIN
    IF 0 = ANY (p_seen) THEN
        PERFORM 1 FROM {s}.scope c WHERE (c.scope, c.stripe) IN (SELECT * FROM unnest(p_scope, p_stripe))
        ORDER BY c.scope, c.stripe FOR UPDATE;
        INSERT INTO {s}.scope
        SELECT x.scope, x.stripe, 0, 0, 0, 0, true, 0
        FROM unnest(p_scope, p_stripe, p_seen) AS x (scope, stripe, seen) WHERE x.seen = 0
        ORDER BY x.scope, x.stripe
        ON CONFLICT DO NOTHING;
    END IF;
    SELECT count(*) INTO good FROM (
        SELECT 1 FROM unnest(p_scope, p_stripe, p_seen) AS x (scope, stripe, seen)
        JOIN {s}.scope c ON c.scope = x.scope AND c.stripe = x.stripe AND c.version = x.seen
        ORDER BY c.scope, c.stripe FOR UPDATE OF c
    ) AS held;
    IF good < cardinality(p_scope) THEN
        SELECT jsonb_agg(jsonb_build_array(c.scope, c.stripe, c.version, c.share_micros, c.pending_micros,
            c.posted_micros, c.frozen, c.cap_seq)) INTO fresh
        FROM {s}.scope c WHERE c.scope = ANY (p_scope) AND c.version > 0;
        RAISE EXCEPTION USING ERRCODE = 'DB002', MESSAGE = 'SCOPE_VERSION', DETAIL = coalesce(fresh, '[]')::text;
    END IF;
    UPDATE {s}.scope c SET version = x.version, share_micros = x.share, pending_micros = x.pending,
        posted_micros = x.posted, frozen = x.frozen, cap_seq = x.cap_seq
    FROM unnest(p_scope, p_stripe, p_version, p_share, p_pending, p_posted, p_frozen, p_cap_seq)
        AS x (scope, stripe, version, share, pending, posted, frozen, cap_seq)
    WHERE c.scope = x.scope AND c.stripe = x.stripe;
END $$;

-- Forwards, dead letters and parked inputs; bytes as hex.
CREATE OR REPLACE FUNCTION {s}.write_rare(p_rare jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF p_rare->'sides' <> '[]' THEN
        INSERT INTO {s}.side (lane, id, topic, partition, key, value)
        SELECT (r->>0)::int, (r->>1)::bigint, r->>2, (r->>3)::int, decode(r->>4, 'hex'), decode(r->>5, 'hex')
        FROM jsonb_array_elements(p_rare->'sides') AS r;
    END IF;
    IF p_rare->'sides_done' <> '[]' THEN
        DELETE FROM {s}.side d USING jsonb_array_elements(p_rare->'sides_done') AS r
        WHERE d.lane = (r->>0)::int AND d.id = (r->>1)::bigint;
    END IF;
    IF p_rare->'unparked' <> '[]' THEN
        DELETE FROM {s}.parked d USING jsonb_array_elements_text(p_rare->'unparked') AS r WHERE d.key = r::uuid;
    END IF;
    IF p_rare->'parked' <> '[]' THEN
        INSERT INTO {s}.parked (lane, key, n, record)
        SELECT (r->>0)::int, (r->>1)::uuid, (r->>2)::int, decode(r->>3, 'hex')
        FROM jsonb_array_elements(p_rare->'parked') AS r;
    END IF;
END $$;

-- Rule 17: one statement that conflicts with a claim, checks the current claim and writes `started`.
CREATE OR REPLACE FUNCTION {s}.start_effects(
    p_token uuid, p_lanes int[], p_epochs bigint[], p_key uuid[], p_key_lane int[], p_attempt int[], p_now bigint
) RETURNS TABLE (lane int, key uuid, attempt int) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    mine int[];
BEGIN
    PERFORM 1 FROM {s}.lane l WHERE l.lane = ANY (p_lanes) ORDER BY l.lane FOR UPDATE;
    SELECT array_agg(l.lane) INTO mine
    FROM unnest(p_lanes, p_epochs) AS x (lane, epoch)
    JOIN {s}.lane l ON l.lane = x.lane AND l.epoch = x.epoch AND l.token = p_token AND l.halted_reason IS NULL;
    RETURN QUERY
        UPDATE {s}.work w SET started_at = coalesce(w.started_at, p_now), first_started_at = coalesce(w.first_started_at, p_now)
        FROM unnest(p_key, p_key_lane, p_attempt) AS x (key, lane, attempt)
        WHERE w.key = x.key AND w.attempt = x.attempt AND w.kind = 'DISPATCHED' AND x.lane = ANY (mine)
        RETURNING w.lane, w.key, w.attempt;
    RETURN QUERY SELECT m, NULL::uuid, NULL::int FROM unnest(mine) AS m;
END $$;

-- Prolong leases. Answers the lanes that are still this owner's.
CREATE OR REPLACE FUNCTION {s}.renew(p_token uuid, p_lanes int[], p_epochs bigint[], p_lease_ms int) RETURNS int[]
LANGUAGE plpgsql AS $$
DECLARE
    kept int[];
BEGIN
    PERFORM 1 FROM {s}.lane l WHERE l.lane = ANY (p_lanes) ORDER BY l.lane FOR UPDATE;
    WITH renewed AS (
        UPDATE {s}.lane l SET lease_until = clock_timestamp() + p_lease_ms * interval '1 ms'
        FROM unnest(p_lanes, p_epochs) AS x (lane, epoch)
        WHERE l.lane = x.lane AND l.epoch = x.epoch AND l.token = p_token AND l.halted_reason IS NULL
        RETURNING l.lane
    )
    SELECT coalesce(array_agg(r.lane), '{}') INTO kept FROM renewed r;
    RETURN kept;
END $$;

-- Rule 21: give the row back. Not ours any more: nothing changes.
CREATE OR REPLACE FUNCTION {s}.release(p_token uuid, p_lane int, p_epoch bigint, p_quiet bigint) RETURNS void
LANGUAGE sql AS $$
    UPDATE {s}.lane SET token = NULL, lease_until = NULL, quiet_until = greatest(quiet_until, p_quiet), unfinished = 0,
        suspect = ''
    WHERE lane = p_lane AND epoch = p_epoch AND token = p_token
$$;

-- Rule 9: halt under the fence; true = written.
CREATE OR REPLACE FUNCTION {s}.halt(p_token uuid, p_lane int, p_epoch bigint, p_reason text) RETURNS boolean
LANGUAGE sql AS $$
    WITH done AS (
        UPDATE {s}.lane SET halted_reason = p_reason, token = NULL, lease_until = NULL
        WHERE lane = p_lane AND epoch = p_epoch AND token = p_token RETURNING 1
    )
    SELECT EXISTS (SELECT 1 FROM done)
$$;

-- flow.md decision 17: which record is about to be decided.
CREATE OR REPLACE FUNCTION {s}.mark_suspect(p_token uuid, p_lane int, p_epoch bigint, p_mark text) RETURNS boolean
LANGUAGE sql AS $$
    WITH done AS (
        UPDATE {s}.lane SET suspect = p_mark WHERE lane = p_lane AND epoch = p_epoch AND token = p_token RETURNING 1
    )
    SELECT EXISTS (SELECT 1 FROM done)
$$;

-- Announce a worker; forget those that were not seen for long.
CREATE OR REPLACE FUNCTION {s}.announce(p_token uuid, p_name text, p_hosted text, p_format int, p_ttl_ms int) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO {s}.worker (token, name, hosted, state_format) VALUES (p_token, p_name, p_hosted, p_format)
    ON CONFLICT (token) DO UPDATE SET seen_at = now();
    DELETE FROM {s}.worker WHERE seen_at < now() - p_ttl_ms * interval '1 ms' AND token <> p_token
$$;

-- A worker that leaves politely: the others share its lanes out at once.
CREATE OR REPLACE FUNCTION {s}.leave(p_token uuid) RETURNS void LANGUAGE sql AS $$
    DELETE FROM {s}.worker WHERE token = p_token
$$;

-- Outbox rows that every broker repair has outlived (outbox_keep): never above the frontier.
CREATE OR REPLACE FUNCTION {s}.trim_outbox(p_lane int, p_keep_ms bigint, p_keep_bytes bigint) RETURNS bigint
LANGUAGE sql AS $$
    WITH sized AS (
        SELECT o.lane, o.first_seq, o.created_at,
            sum(length(o.records)) OVER (PARTITION BY o.lane ORDER BY o.first_seq DESC) AS bytes
        FROM {s}.outbox o JOIN {s}.lane l USING (lane) WHERE o.lane = p_lane AND o.last_seq < l.published_seq
    ), gone AS (
        DELETE FROM {s}.outbox o USING sized z WHERE o.lane = z.lane AND o.first_seq = z.first_seq
            AND (z.created_at < now() - p_keep_ms * interval '1 ms' OR z.bytes > p_keep_bytes)
        RETURNING 1
    )
    SELECT count(*) FROM gone
$$;
