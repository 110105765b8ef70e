"""A wrong or missing setting ends the start with a sentence that names the variable (D3, T32)."""

from __future__ import annotations

import inspect
import os

import pytest

from libs.runtime import settings as all_settings
from libs.runtime.settings import (
    PLACEHOLDERS,
    AuthSettings,
    DatabaseSettings,
    KafkaSettings,
    ProcessSettings,
    Settings,
    SettingsError,
    is_loopback,
    is_placeholder,
    load,
    variables,
)

pytestmark = [pytest.mark.requirement("D3"), pytest.mark.requirement("T32")]

GOOD_TOKEN = "5b3c7d0a9e8f4412"


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("DEED_")]:
        monkeypatch.delenv(name)


def refusal(kind: type[Settings], monkeypatch: pytest.MonkeyPatch, **given: str) -> str:
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as error:
        load(kind)
    return str(error.value)


def test_a_missing_variable_is_named_with_its_meaning(monkeypatch: pytest.MonkeyPatch) -> None:
    assert refusal(KafkaSettings, monkeypatch) == (
        "DEED_KAFKA_BOOTSTRAP is not set (Broker addresses, host:port separated by commas)."
    )


def test_all_missing_variables_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    said = refusal(AuthSettings, monkeypatch)
    assert [name in said for name in ("DEED_JWKS", "DEED_JWT_ISSUER", "DEED_JWT_AUDIENCE")] == [True] * 3


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        (KafkaSettings, "DEED_LANES", "many"),
        (KafkaSettings, "DEED_LANES", "0"),
        (KafkaSettings, "DEED_KAFKA_BOOTSTRAP", ""),
        (KafkaSettings, "DEED_KAFKA_SECURITY", "NONE"),
        (ProcessSettings, "DEED_HTTP_PORT", "70000"),
        (ProcessSettings, "DEED_HTTP_NAMES", "not json"),
        (ProcessSettings, "DEED_LOG_LEVEL", "LOUD"),
        (AuthSettings, "DEED_JWT_ALGORITHM", "none"),
        (AuthSettings, "DEED_JWT_ALGORITHM", "HS256"),
        (DatabaseSettings, "DEED_DATABASE_TIMEOUT_MS", "1e3"),
    ],
)
def test_a_wrong_value_is_named_but_not_shown(
    kind: type[Settings], name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEED_KAFKA_BOOTSTRAP", "127.0.0.1:9092")
    said = refusal(kind, monkeypatch, **{name: value})
    assert name in said
    assert said.endswith(".")
    assert "\n" not in said


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, word) for name in ("DEED_HTTP_TOKEN", "DEED_KAFKA_PASSWORD") for word in sorted(PLACEHOLDERS)]
    + [
        ("DEED_HTTP_TOKEN", "CHANGE_ME"),
        ("DEED_HTTP_TOKEN", "please-change-me-now"),
        ("DEED_HTTP_TOKEN", "<your token>"),
    ],
)
def test_a_placeholder_secret_is_refused(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEED_KAFKA_BOOTSTRAP", "127.0.0.1:9092")
    kind = ProcessSettings if "HTTP" in name else KafkaSettings
    assert f"{name} is wrong: is a placeholder" in refusal(kind, monkeypatch, **{name: value})


@pytest.mark.parametrize("password", ["changeme", "postgres", "password", "%63hangeme"])
def test_a_placeholder_password_in_the_database_url_is_refused(password: str, monkeypatch: pytest.MonkeyPatch) -> None:
    said = refusal(DatabaseSettings, monkeypatch, DEED_DATABASE_URL=f"postgresql://deed:{password}@db/deed")
    assert said == "DEED_DATABASE_URL is wrong: holds a placeholder as its password."


def test_a_short_secret_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "DEED_HTTP_TOKEN" in refusal(ProcessSettings, monkeypatch, DEED_HTTP_TOKEN="a1b2c3")


def test_secrets_are_not_in_the_text_of_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEED_DATABASE_URL", "postgresql://deed:5b3c7d0a@db/deed")
    monkeypatch.setenv("DEED_HTTP_TOKEN", GOOD_TOKEN)
    assert "5b3c7d0a" not in repr(load(DatabaseSettings)) + repr(load(ProcessSettings))


def test_metrics_off_loopback_need_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "DEED_HTTP_TOKEN" in refusal(ProcessSettings, monkeypatch, DEED_HTTP_HOST="0.0.0.0")
    monkeypatch.setenv("DEED_HTTP_TOKEN", GOOD_TOKEN)
    assert load(ProcessSettings).http_host == "0.0.0.0"


def test_sasl_needs_user_and_password(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"DEED_KAFKA_BOOTSTRAP": "k:9092", "DEED_KAFKA_SECURITY": "SASL_SSL", "DEED_KAFKA_USERNAME": "u"}
    assert "DEED_KAFKA_PASSWORD" in refusal(KafkaSettings, monkeypatch, **given)


def test_settings_are_frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="frozen"):
        load(ProcessSettings).http_port = 1


def test_every_class_is_small_and_every_field_explained() -> None:
    kinds = [kind for _, kind in inspect.getmembers(all_settings, inspect.isclass) if issubclass(kind, Settings)]
    assert len(kinds) >= 6
    for kind in kinds:
        assert len(kind.model_fields) <= 12, kind
        assert all(meaning for _, _, meaning in variables(kind)), kind


def test_real_secrets_are_no_placeholders() -> None:
    assert not any(map(is_placeholder, (GOOD_TOKEN, "correct horse battery", "postgres-9f8a")))


@pytest.mark.parametrize(
    ("host", "answer"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("10.0.0.1", False), ("db", False)],
)
def test_loopback_is_recognised(host: str, answer: bool) -> None:
    assert is_loopback(host) is answer
