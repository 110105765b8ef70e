-- Rule 25: what keeps a state from being written before everybody can read it. {s} is the service's schema.
-- SQLSTATE DB004: the floor stays as it is (message = why in a word, detail = in a sentence).

-- Why a worker of this format may not work under this floor; NULL = it may.
CREATE OR REPLACE FUNCTION {s}.format_refusal(p_format int, p_floor int) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
        WHEN p_format > p_floor THEN '{s}: this release writes state format ' || p_format || ' and the floor is ' || p_floor
            || '; stop the workers of the older release, then `deed format raise {s} ' || p_format || '`'
        WHEN p_format < p_floor THEN '{s}: this release knows state formats up to ' || p_format || ' and the floor is '
            || p_floor || ', which is never lowered; start a newer release'
    END
$$;

-- Raise the floor. Refused while somebody who works, or did within p_live_ms, does not understand the format, and when
-- nobody at all does: a floor that is too high by mistake could not be taken back. Claims and this take turns (the lock).
CREATE OR REPLACE FUNCTION {s}.raise_format_floor(p_floor int, p_live_ms int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    now_floor int;
    behind text;
BEGIN
    SELECT f.floor INTO now_floor FROM {s}.format_floor f FOR UPDATE;
    IF p_floor < now_floor THEN
        RAISE EXCEPTION USING ERRCODE = 'DB004', MESSAGE = 'FORMAT_LOWERED',
            DETAIL = 'the format floor of {s} is ' || now_floor || ' and is never lowered';
    ELSIF p_floor = now_floor THEN
        RETURN;
    END IF;
    SELECT string_agg(DISTINCT coalesce(
        w.name || ' (understands up to ' || w.state_format || ')', 'the owner of lane ' || l.lane || ' (not announced)'
    ), ', ') INTO behind
    FROM {s}.worker w FULL JOIN (SELECT o.lane, o.token FROM {s}.lane o WHERE {s}.is_held(o)) l ON l.token = w.token
    WHERE coalesce(w.state_format, 0) < p_floor
        AND (l.lane IS NOT NULL OR w.seen_at > clock_timestamp() - p_live_ms * interval '1 ms');
    IF behind IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'DB004', MESSAGE = 'FORMAT_NOT_UNDERSTOOD',
            DETAIL = 'state format ' || p_floor || ' of {s} is not understood by ' || behind || '; stop them first';
    ELSIF NOT EXISTS (
        SELECT 1 FROM {s}.worker w
        WHERE w.state_format >= p_floor AND w.seen_at > clock_timestamp() - p_live_ms * interval '1 ms'
    ) THEN
        RAISE EXCEPTION USING ERRCODE = 'DB004', MESSAGE = 'FORMAT_UNKNOWN',
            DETAIL = 'no running worker understands state format ' || p_floor || ' of {s}; start the newer release first';
    END IF;
    UPDATE {s}.format_floor SET floor = p_floor, raised_at = now();
END $$;

-- The second wall: by hand it is not lowered either, nor taken away.
CREATE OR REPLACE FUNCTION {s}.keep_format_floor() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF NEW.floor >= OLD.floor THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION USING ERRCODE = 'DB004', MESSAGE = 'FORMAT_LOWERED', DETAIL = 'the format floor of {s} is never lowered';
END $$;
CREATE OR REPLACE TRIGGER never_lowered BEFORE UPDATE OR DELETE ON {s}.format_floor
    FOR EACH ROW EXECUTE FUNCTION {s}.keep_format_floor();
CREATE OR REPLACE TRIGGER never_emptied BEFORE TRUNCATE ON {s}.format_floor
    FOR EACH STATEMENT EXECUTE FUNCTION {s}.keep_format_floor();
