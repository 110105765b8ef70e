"""Who may change what, and what names and values may be: threats T10 and T13, and every code of a refusal."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.contracts import events
from libs.contracts.events import CommandRejected
from libs.governance.digests import read_object
from libs.governance.identity import submission_id
from libs.ledger.codec import encode_message
from libs.ledger.service import Dead
from services.control.checks import ChangeRefused
from services.control.reading import check, key_of_change
from services.control.service import SERVICE
from tests.unit.control.given import (
    ADAM,
    AGENT,
    OLGA,
    OTTO,
    POLICY,
    POLICY_HASH,
    WORKER,
    WORLD,
    Control,
    command_of,
    definition,
    digest,
    entry,
    examples,
    head,
    record,
    register,
)

replace = msgspec.structs.replace
Kind = events.SwitchKind


def refusal(change: Any) -> str:
    with pytest.raises(ChangeRefused) as caught:
        check(change)
    assert caught.value.reason
    code: str = caught.value.code
    return code


def switch(kind: events.SwitchKind, name: str) -> events.FlipSwitch:
    return events.FlipSwitch(**head(), kind=kind, id=name, stopped=True)


@pytest.mark.parametrize("name", sorted(examples()))
def test_who_rules_the_platform_may_change_everything_and_agents_nothing(name: str) -> None:
    assert command_of(examples(1, OLGA)[name]).key != examples(1, OLGA)[name].command_id
    assert refusal(examples(1, AGENT)[name]) == "ROLE_MISSING"


def about(name: str, who: events.Principal) -> list[Any]:
    """What concerns the tenant or one of its accounts alone."""
    account = {"kind": "ACCOUNT", "id": f"{name}/a1/b"}
    scope: dict[str, Any] = {"kind": events.BudgetKind.TENANT, "id": name, "period": events.BudgetPeriod.DAY}
    policy: dict[str, Any] = {"policy": POLICY, "policy_hash": POLICY_HASH}
    return [
        events.FlipSwitch(**head(1, who), kind=Kind.TENANT, id=name, stopped=True),
        events.FlipSwitch(**head(1, who), kind=Kind.ACCOUNT, id=account["id"], stopped=False),
        events.DefineBudget(**head(1, who), **scope, hard_micros=5),
        events.DefineBudget(**head(1, who), **scope | account | {"kind": events.BudgetKind.ACCOUNT}, hard_micros=5),
        events.RemoveBudget(**head(1, who), **scope),
        events.PublishPolicy(**head(1, who), tenant=name, **policy),
        events.SetRateLimit(**head(1, who), kind=events.RateLimitKind.TENANT, id=name, window_ms=1_000, permits=5),
        events.SetFlag(**head(1, who), level=events.FlagLevel.TENANT, id=name, name="x", value="true"),
    ]


def of_all(who: events.Principal) -> list[Any]:
    """What all tenants share."""
    scope: dict[str, Any] = {"period": events.BudgetPeriod.DAY}
    found = [
        *[events.FlipSwitch(**head(1, who), kind=kind, id=name, stopped=stopped)
          for kind, name in ((Kind.GLOBAL, ""), (Kind.TOOL, "git/git_log"), (Kind.CAPABILITY, "acme"))
          for stopped in (True, False)],
        *[events.DefineBudget(**head(1, who), kind=kind, id=name, **scope, hard_micros=5)
          for kind, name in ((events.BudgetKind.GLOBAL, ""), (events.BudgetKind.TOOL, "acme/git_log"))],
        events.RemoveBudget(**head(1, who), kind=events.BudgetKind.GLOBAL, id="", **scope),
        events.PublishPolicy(**head(1, who), tenant="", policy=POLICY, policy_hash=POLICY_HASH),
    ]  # fmt: skip
    shared = ("RegisterTool", "RemoveTool", "AcceptTool", "QuarantineTool", "RegisterServer", "RemoveServer",
              "SetRateLimit", "SetFlag", "ReportBreaker")  # fmt: skip
    return found + [examples(1, who)[name] for name in shared]


@pytest.mark.requirement("T11")
@pytest.mark.parametrize("who", [OTTO, ADAM])
def test_operators_rule_their_own_tenant_and_nobody_elses(who: events.Principal) -> None:
    for change in about("acme", who):
        check(change)
    for change in [*about("rival", who), *about("acme2", who), *of_all(who)]:
        assert refusal(change) == "PLATFORM_ROLE_MISSING"
    for change in [*about("rival", OLGA), *of_all(OLGA)]:
        check(change)


def test_what_is_refused_before_its_name_is_looked_at_cannot_be_used_to_look() -> None:
    for name in ("", "/a1", "acme/", " acme"):
        change = events.FlipSwitch(**head(1, OTTO), kind=Kind.ACCOUNT, id=name, stopped=True)
        assert refusal(change) == ("ID_INVALID" if name == "acme/" else "PLATFORM_ROLE_MISSING")
    nobody = msgspec.structs.replace(OTTO, tenant="")
    assert (
        refusal(events.FlipSwitch(**head(1, nobody), kind=Kind.TENANT, id="", stopped=True)) == "PLATFORM_ROLE_MISSING"
    )


@pytest.mark.parametrize("name", sorted(examples()))
def test_workers_report_what_they_saw_of_a_server_and_change_nothing_else(name: str) -> None:
    change = examples(1, WORKER)[name]
    if name in ("ReportBreaker", "QuarantineTool"):
        assert check(change) == change
    else:
        assert refusal(change) == "ROLE_MISSING"


@pytest.mark.requirement("T9")
@pytest.mark.parametrize("name", ["ReportBreaker", "QuarantineTool"])
@pytest.mark.parametrize(
    "who",
    [AGENT, replace(WORKER, tenant="acme"), replace(WORKER, kind=events.ActorKind.MACHINE), replace(WORKER, roles=())],
)
def test_nobody_with_a_token_reports_as_a_worker(name: str, who: events.Principal) -> None:
    """Every token names a tenant, and no worker has one."""
    assert refusal(examples(1, who)[name]) == "ROLE_MISSING"


@pytest.mark.parametrize("name", sorted(examples()))
@pytest.mark.parametrize("reason", ["", " \n", "x" * 1001, "drill\x1b[2J", "drill \u202egnp.exe"])
def test_nothing_changes_without_a_readable_reason(name: str, reason: str) -> None:
    assert refusal(examples(reason=reason)[name]) == "REASON_INVALID"


def test_a_refused_command_is_recorded_under_its_own_id() -> None:
    change = examples(7, AGENT)["FlipSwitch"]
    control = Control()
    (body,) = control.give(change)
    assert body == CommandRejected(change.command_id, "FlipSwitch", "ROLE_MISSING", body.reason)
    assert list(control.states) == [change.command_id]
    assert control.facts[0].envelope.tenant == "acme"


@pytest.mark.requirement("A6")
@pytest.mark.parametrize(
    ("value", "code"),
    [
        (b"", "WRONG_MAGIC"),
        (b"{}", "WRONG_MAGIC"),
        (b"\x00\x00", "TRUNCATED"),
        (b"\x00\x00\x00\x00\x01", "UNKNOWN_SCHEMA"),
        (encode_message(examples()["FlipSwitch"]) + b"!", "TRAILING_BYTES"),
        (encode_message(examples()["FlipSwitch"])[:-3], "TRUNCATED"),
        (b"\x00" * (1 << 21), "OVERSIZE"),
    ],
)
def test_bad_bytes_are_buried_and_refused_under_the_id_of_their_place(value: bytes, code: str) -> None:
    assert SERVICE.prepare is not None
    command = SERVICE.prepare(record(value, 41), WORLD).command
    assert command is not None
    control, place = Control(), submission_id("control.commands", 0, 41)
    (body,) = control.take(command)
    assert (command.key, body.command_id, body.command, body.code) == (place, place, "", code)
    assert control.dead == [Dead(code, body.reason)]
    assert control.take(command) == []


def test_a_change_in_a_transaction_is_buried() -> None:
    assert SERVICE.prepare is not None
    sound = record(encode_message(examples()["FlipSwitch"]))
    command = SERVICE.prepare(replace(sound, flaw="written in a transaction"), WORLD).command
    assert command is not None
    (body,) = Control().take(command)
    assert (body.code, body.reason) == ("UNREADABLE", "written in a transaction")


def test_records_of_other_topics_are_not_for_control() -> None:
    assert SERVICE.prepare is not None
    assert SERVICE.prepare(replace(record(b""), topic="commands"), WORLD).command is None


@pytest.mark.parametrize(
    "name",
    ["git", "git/", "/git_log", "git/git_log/x", "git/git log", "git/git_l\u043eg", "gi\u0301t/git_log",
     "git/\u202elog", "Git/git_log", "-git/log", "git/" + "x" * 129, "x" * 65 + "/log", "git/log\n"],
)  # fmt: skip
def test_names_of_tools_are_qualified_and_of_an_allow_list(name: str) -> None:
    assert refusal(events.RemoveTool(**head(), tool=name)) == "ID_INVALID"
    assert refusal(switch(Kind.TOOL, name)) == "ID_INVALID"


@pytest.mark.parametrize(
    "profile", ["", "Git", "/bin/sh", "sh -c id", "https://evil.example", "git;id", "../git", "git\n", "a" * 65]
)
def test_a_command_line_or_address_is_no_profile(profile: str) -> None:
    assert refusal(replace(examples()["RegisterServer"], profile=profile)) == "ID_INVALID"


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (Kind.GLOBAL, "acme"),
        (Kind.TENANT, ""),
        (Kind.TENANT, "acme/a1"),
        (Kind.TENANT, "acme:x"),
        (Kind.TENANT, " acme"),
        (Kind.TENANT, "ac\u200bme"),
        (Kind.TENANT, "x" * 129),
        (Kind.ACCOUNT, "acme"),
        (Kind.ACCOUNT, "acme/"),
        (Kind.ACCOUNT, "/a1"),
        (Kind.CAPABILITY, ""),
        (Kind.CAPABILITY, "git wr\u0456te"),
    ],
)
def test_a_switch_that_would_stop_nothing_is_refused(kind: events.SwitchKind, name: str) -> None:
    assert refusal(switch(kind, name)) == "ID_INVALID"


@pytest.mark.parametrize(
    ("kind", "name"),
    [(Kind.GLOBAL, ""), (Kind.TENANT, "Bäckerei GmbH"), (Kind.ACCOUNT, "acme/a/b"), (Kind.TOOL, "git/git_log"),
     (Kind.CAPABILITY, "git.write")],
)  # fmt: skip
def test_a_switch_stops_whatever_a_token_or_the_registry_can_name(kind: events.SwitchKind, name: str) -> None:
    assert check(switch(kind, name)) == switch(kind, name)


KEYED: dict[str, Any] = {
    "effect_class": events.EffectClass.KEYED,
    "key_placement": events.KeyPlacement.META,
    "key_window_ms": 86_400_000,
    "attempts_max": 3,
}


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"server": "github"}, "VALUE_INVALID"),
        ({"definition": "{"}, "DEFINITION_INVALID"),
        ({"definition": '{"name":"git_log","name":"git_log"}'}, "DEFINITION_INVALID"),
        ({"definition": definition("git_push")}, "DEFINITION_INVALID"),
        ({"definition": "[]"}, "DEFINITION_INVALID"),
        ({"definition": f'{{"name":"git_log","x":"{"x" * 65_536}"}}'}, "DEFINITION_INVALID"),
        ({"definition_hash": bytes(32)}, "DEFINITION_HASH_MISMATCH"),
        ({"capability": ""}, "ID_INVALID"),
        ({"price_micros": -1}, "VALUE_INVALID"),
        ({"timeout_ms": 0}, "VALUE_INVALID"),
        ({"timeout_ms": 60_001}, "VALUE_INVALID"),
        ({"attempts_max": 0}, "VALUE_INVALID"),
        ({"attempts_max": 1000}, "VALUE_INVALID"),
        ({"backoff_ms": 70_000}, "VALUE_INVALID"),
        ({"quiet_ms": -1}, "VALUE_INVALID"),
        ({"key_window_ms": -1}, "VALUE_INVALID"),
        ({"key_window_ms": 60_000}, "VALUE_INVALID"),
        (KEYED | {"key_window_ms": 2**45}, "VALUE_INVALID"),
        (KEYED | {"key_window_ms": 1_000, "timeout_ms": 1_000}, "VALUE_INVALID"),
        (KEYED | {"attempts_max": 1}, "VALUE_INVALID"),
        ({"effect": events.EffectKind.WRITE}, "VALUE_INVALID"),
        ({"effect_class": events.EffectClass.KEYED}, "VALUE_INVALID"),
        ({"effect_class": events.EffectClass.KEYED, "key_placement": events.KeyPlacement.HEADER}, "VALUE_INVALID"),
        ({"effect_class": events.EffectClass.QUERYABLE}, "VALUE_INVALID"),
        ({"target_path": "a..b"}, "VALUE_INVALID"),
        ({"answer_cost_path": "$.cost"}, "VALUE_INVALID"),
        ({"secret_fields": ("options.",)}, "VALUE_INVALID"),
        ({"secret_fields": ("a",) * 101}, "VALUE_INVALID"),
        ({"roles_allowed": ("",)}, "VALUE_INVALID"),
        ({"policy": "strict"}, "VALUE_INVALID"),
    ],
)
def test_an_entry_that_says_what_cannot_be_is_refused(wrong: dict[str, Any], code: str) -> None:
    sound = entry()
    assert refusal(events.RegisterTool(**head(), tool="git/git_log", entry=replace(sound, **wrong))) == code


@pytest.mark.parametrize(
    "extractor",
    [
        events.Extractor(kind=events.ExtractorKind.STRUCTURED, type="commit", path=""),
        events.Extractor(kind=events.ExtractorKind.TEXT, type="commit", pattern="commit ("),
        events.Extractor(kind=events.ExtractorKind.TEXT, type="commit", pattern="(" * 500 + ")" * 500),
        events.Extractor(kind=events.ExtractorKind.TEMPLATE, type="commit", template=""),
        events.Extractor(kind=events.ExtractorKind.TEXT, type="", pattern="commit (.*)"),
    ],
)
def test_an_extractor_that_finds_nothing_is_refused(extractor: events.Extractor) -> None:
    assert refusal(register(extractors=(extractor,))) == "VALUE_INVALID"


@pytest.mark.requirement("F1")
def test_a_full_entry_is_taken_with_its_definition_in_canonical_form() -> None:
    Extracts = events.ExtractorKind  # noqa: N806 - a type
    full = register(
        effect=events.EffectKind.WRITE, effect_class=events.EffectClass.KEYED, target_path="repo.path",
        key_placement=events.KeyPlacement.META, key_window_ms=86_400_000, attempts_max=3,
        secret_fields=("auth.token", "*.password"), roles_allowed=("writer",),
        extractors=(
            events.Extractor(kind=Extracts.STRUCTURED, type="commit", path="commit.id"),
            events.Extractor(kind=Extracts.TEXT, type="commit", pattern="commit ([0-9a-f]{40})"),
            events.Extractor(kind=Extracts.TEMPLATE, type="file", template="{repo}/{path}"),
        ),
    )  # fmt: skip
    checked = check(full)
    assert isinstance(checked, events.RegisterTool)
    assert checked.entry.definition == read_object(definition()).text != full.entry.definition
    assert digest(checked.entry.definition) == full.entry.definition_hash
    assert replace(checked.entry, definition=full.entry.definition) == full.entry


@pytest.mark.requirement("B9")
def test_a_policy_must_be_one_and_be_the_one_that_was_named() -> None:
    sound = examples()["PublishPolicy"]
    assert refusal(replace(sound, policy_hash=bytes(32))) == "POLICY_HASH_MISMATCH"
    assert refusal(replace(sound, policy='{"version": 2}')) == "POLICY_MALFORMED"
    assert refusal(replace(sound, policy=POLICY[:-1] + ', "sudo": true}')) == "POLICY_MALFORMED"
    assert refusal(replace(sound, tenant="a/b")) == "ID_INVALID"
    assert check(replace(sound, tenant=""))


@pytest.mark.requirement("C1")
@pytest.mark.parametrize("caps", [(-1, None), (10, 11), (10, -1), (2**60, None)])
def test_caps_are_ordered_and_bounded(caps: tuple[int, int | None]) -> None:
    hard, soft = caps
    assert refusal(replace(examples()["DefineBudget"], hard_micros=hard, soft_micros=soft)) == "VALUE_INVALID"


@pytest.mark.parametrize("limit", [(0, 1), (1, -1), (2**40, 1), (1, 2**40)])
def test_rate_limits_are_bounded(limit: tuple[int, int]) -> None:
    window, permits = limit
    assert refusal(replace(examples()["SetRateLimit"], window_ms=window, permits=permits)) == "VALUE_INVALID"


@pytest.mark.parametrize("value", ["", "on", "{", 'true,"w":1', '1},{"v":2', "NaN", "x" * 1001, '1,"v":1'])
def test_a_flags_value_is_one_piece_of_strict_json(value: str) -> None:
    assert refusal(replace(examples()["SetFlag"], value=value)) == "VALUE_INVALID"


@pytest.mark.parametrize("value", ["true", "0.5", '"text"', "[1, 2]", '{"a": null}'])
def test_a_flag_takes_any_piece_of_json(value: str) -> None:
    assert check(replace(examples()["SetFlag"], value=value))


def test_a_flag_is_set_where_there_is_such_a_place() -> None:
    flag = examples()["SetFlag"]
    assert refusal(replace(flag, id="acme")) == "ID_INVALID"
    assert refusal(replace(flag, level=events.FlagLevel.SERVER)) == "ID_INVALID"
    assert refusal(replace(flag, name="a b")) == "ID_INVALID"


@pytest.mark.parametrize(
    "wrong",
    [{"until_at": None}, {"state": events.BreakerState.CLOSED}, {"failures": -1}, {"until_at": 0}],
)
def test_a_breaker_report_must_make_sense(wrong: dict[str, Any]) -> None:
    assert refusal(replace(examples()["ReportBreaker"], **wrong)) == "VALUE_INVALID"


def test_a_quarantine_names_a_stable_code() -> None:
    assert refusal(replace(examples()["QuarantineTool"], code="")) == "VALUE_INVALID"
    assert refusal(replace(examples()["QuarantineTool"], code="by hand")) == "VALUE_INVALID"


def test_keys_never_change() -> None:
    found = {name: key_of_change(change).hex() for name, change in examples().items()}
    assert found == {name: key_of_change(change).hex() for name, change in examples(2, ADAM, "other").items()}
    assert len(set(found.values())) == len(found) - 5  # one tool four times, one server and one budget twice
    assert found["RegisterTool"] == "e33829143e495d1d8d523b2509f17944"
    assert found["DefineBudget"] == "65f7e7d82ca15b62ab136126d2530da3"


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(sorted(examples())), st.binary(max_size=40), st.integers(0, 400), st.integers(0, 255))
def test_damaged_records_never_stop_the_lane(name: str, more: bytes, place: int, byte: int) -> None:
    value = bytearray(encode_message(examples()[name]) + more)
    value[place % len(value)] = byte
    assert SERVICE.prepare is not None
    command = SERVICE.prepare(record(bytes(value)), WORLD).command
    assert command is not None
    assert len(SERVICE.decide(command, SERVICE.initial, WORLD)) in (1, 2)
