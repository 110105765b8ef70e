"""The statements that ask all hosted schemas at once: claims, announcements and surveys. Each service says for itself
which state format it writes, and is held to the floor of its own schema (rule 25)."""

from __future__ import annotations

from collections.abc import Sequence

from libs.ledger.service import Service


def claim_statement(services: Sequence[Service]) -> str:
    """$1 lane, $2 token, $3 shape, $4 lease_ms, $5 control_seq -> a row per service, all with one epoch (rule 1)."""
    rows_now = " UNION ALL ".join(f"SELECT epoch FROM {s.name}.lane WHERE lane = $1" for s in services)
    highest = f"(SELECT coalesce(max(epoch), 0) FROM ({rows_now}) AS now)"
    return " UNION ALL ".join(
        f"SELECT '{s.name}' AS service, c.* FROM {s.name}.claim($1, $2, $3, $4, $5, {highest}, {s.state_format}) c"
        for s in services
    )


def announce_statement(services: Sequence[Service]) -> str:
    """$1 token, $2 name, $3 hosted, $4 ttl_ms: in each schema, with what is understood of its states."""
    return "SELECT " + ", ".join(f"{s.name}.announce($1, $2, $3, {s.state_format}, $4)" for s in services)


def survey_statement(services: Sequence[Service]) -> str:
    """$1 ttl_ms, $2 lanes -> (kind, token, lane, free, said, now_at). `worker`: one that lives and may claim; lanes are
    shared out among these only, since nobody else would take them. `unfit`: why this release may not. `lane`: each."""
    first = services[0].name
    now_at = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
    misfits = "".join(
        f" AND NOT EXISTS (SELECT 1 FROM {s.name}.worker x, {s.name}.format_floor f"
        " WHERE x.token = w.token AND x.state_format <> f.floor)"
        for s in services
    )
    unfit = "".join(
        f" UNION ALL SELECT 'unfit', NULL, NULL, NULL, {s.name}.format_refusal({s.state_format}, f.floor), {now_at}"
        f" FROM {s.name}.format_floor f WHERE f.floor <> {s.state_format}"
        for s in services
    )
    return f"""
        SELECT 'worker' AS kind, w.token, NULL::int AS lane, NULL::boolean AS free, NULL::text AS said,
            {now_at} AS now_at
        FROM {first}.worker w WHERE w.seen_at > now() - $1::int * interval '1 ms'{misfits}
        UNION ALL
        SELECT 'lane', l.token, n, l.lane IS NULL OR NOT {first}.is_held(l), l.halted_reason, {now_at}
        FROM generate_series(0, $2::int - 1) AS n LEFT JOIN {first}.lane l ON l.lane = n{unfit}
    """
