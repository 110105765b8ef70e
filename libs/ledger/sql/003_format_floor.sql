-- Rule 25: the one state format that is written in this schema. Every worker understands it, since it is raised only when
-- all that are announced do; it is never lowered (004).
CREATE TABLE {s}.format_floor (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    floor int NOT NULL CHECK (floor > 0),
    raised_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO {s}.format_floor (floor) VALUES (1);
