-- Rule 9: an operator has looked, and the lane may be claimed again. Everything else in the row stays as it is: whoever
-- claims it checks all anchors anew, and halts it again if what was found is still so. A claim and this take turns (the
-- lock). Gives the reason that it was halted for; NULL = it was not, and nothing was changed.
CREATE OR REPLACE FUNCTION {s}.clear_halt(p_lane int, p_by text, p_why text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    found text;
BEGIN
    IF coalesce(p_by, '') !~ '\S' OR coalesce(p_why, '') !~ '\S' THEN
        RAISE EXCEPTION USING ERRCODE = 'DB005', MESSAGE = 'REASON_MISSING',
            DETAIL = 'a lane goes on only when somebody says why';
    END IF;
    SELECT l.halted_reason INTO found FROM {s}.lane l WHERE l.lane = p_lane FOR UPDATE;
    IF found IS NOT NULL THEN
        INSERT INTO {s}.halt_cleared (lane, halted_reason, cleared_by, why) VALUES (p_lane, found, p_by, p_why);
        UPDATE {s}.lane SET halted_reason = NULL WHERE lane = p_lane;
    END IF;
    RETURN found;
END $$;
