-- Tables of one deciding service. {s} is the service's own schema. Everything but the outbox above the frontier can be
-- rebuilt from the ledger. Times: timestamptz = leases (this database's clock), bigint = microseconds since the epoch.

CREATE SCHEMA IF NOT EXISTS {s};

-- The lane row: who owns it, how far it is (lane_rules 1, 3, 7, 10).
CREATE TABLE {s}.lane (
    lane int PRIMARY KEY,
    shape text NOT NULL DEFAULT '',
    epoch bigint NOT NULL DEFAULT 0,
    token uuid,
    lease_until timestamptz,
    out_seq bigint NOT NULL DEFAULT 0,
    out_hash bytea NOT NULL DEFAULT decode(repeat('00', 32), 'hex'),
    published_seq bigint NOT NULL DEFAULT 0,
    published_offset bigint NOT NULL DEFAULT -1,
    published_hash bytea NOT NULL DEFAULT decode(repeat('00', 32), 'hex'),
    cursors bytea,
    control_seq bigint NOT NULL DEFAULT 0,
    state_format int NOT NULL DEFAULT 1,
    quiet_until bigint NOT NULL DEFAULT 0,
    unfinished int NOT NULL DEFAULT 0,
    suspect text NOT NULL DEFAULT '',
    halted_reason text
) WITH (fillfactor = 50);

-- One state per key. The last four columns are filled only by projections that can be listed (status).
CREATE TABLE {s}.state (
    key uuid PRIMARY KEY,
    lane int NOT NULL,
    state bytea NOT NULL,
    tenant text,
    account text,
    at bigint,
    label text
) WITH (fillfactor = 80, toast_tuple_target = 8160); -- states are near 2 kB: to compress them costs more than it saves
CREATE INDEX state_listed ON {s}.state (tenant, account, at DESC, key) WHERE tenant IS NOT NULL;

-- The index of all that waits: deadlines, owners, and the gate's `started` marks.
CREATE TABLE {s}.work (
    key uuid PRIMARY KEY,
    lane int NOT NULL,
    attempt int NOT NULL,
    kind text NOT NULL,
    due_at bigint,
    why text NOT NULL DEFAULT '',
    owner text NOT NULL DEFAULT '',
    since_at bigint NOT NULL,
    started_at bigint,
    first_started_at bigint
) WITH (fillfactor = 70);
CREATE INDEX work_of_lane ON {s}.work (lane);

-- Encoded events, one row per batch: written with the decision, published afterwards, kept for a while.
CREATE TABLE {s}.outbox (
    lane int NOT NULL,
    first_seq bigint NOT NULL,
    last_seq bigint NOT NULL,
    records bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (lane, first_seq)
);
ALTER TABLE {s}.outbox ALTER COLUMN records SET STORAGE EXTERNAL; -- short-lived: not worth compressing

-- Forwards and dead letters: at least once, outside the chain.
CREATE TABLE {s}.side (
    lane int NOT NULL,
    id bigint NOT NULL,
    topic text NOT NULL,
    partition int NOT NULL,
    key bytea NOT NULL,
    value bytea NOT NULL,
    PRIMARY KEY (lane, id)
);

-- Inputs that wait because their key is parked.
CREATE TABLE {s}.parked (
    key uuid NOT NULL,
    n int NOT NULL,
    lane int NOT NULL,
    record bytea NOT NULL,
    parked_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (key, n)
);
CREATE INDEX parked_of_lane ON {s}.parked (lane);

-- Budget scopes, one stripe per lane. The constraint is the second wall behind the decider: nothing is granted above
-- the stripe's share; only an overrun or a lowered cap may exceed it, and then the stripe is frozen.
CREATE TABLE {s}.scope (
    scope text NOT NULL,
    stripe int NOT NULL,
    version bigint NOT NULL,
    share_micros bigint NOT NULL,
    pending_micros bigint NOT NULL CHECK (pending_micros >= 0),
    posted_micros bigint NOT NULL CHECK (posted_micros >= 0),
    frozen boolean NOT NULL,
    cap_seq bigint NOT NULL,
    PRIMARY KEY (scope, stripe),
    CONSTRAINT grant_within_share CHECK (frozen OR pending_micros + posted_micros <= share_micros)
) WITH (fillfactor = 50);

-- The processes that host this service.
CREATE TABLE {s}.worker (
    token uuid PRIMARY KEY,
    name text NOT NULL,
    hosted text NOT NULL,
    state_format int NOT NULL,
    seen_at timestamptz NOT NULL DEFAULT now()
);
