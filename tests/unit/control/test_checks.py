"""What names and values of a change may be, and every code of a refusal (T13)."""

from __future__ import annotations

from typing import Any

import pytest

from libs.contracts import events
from libs.governance.digests import read_object
from services.control.reading import check
from tests.unit.control.given import (
    POLICY,
    Kind,
    definition,
    digest,
    entry,
    examples,
    head,
    refusal,
    register,
    replace,
    switch,
)


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
