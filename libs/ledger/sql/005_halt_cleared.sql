-- Who let a halted lane go on, and why (lane_rules 9): one row each time, never taken away.
CREATE TABLE {s}.halt_cleared (
    lane int NOT NULL,
    halted_reason text NOT NULL,
    cleared_at timestamptz NOT NULL DEFAULT now(),
    cleared_by text NOT NULL,
    why text NOT NULL
);
