"""docker-compose.yml is a valid compose file, sets only what our processes know, and publishes nothing to others."""

from __future__ import annotations

import importlib
import pkgutil
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from compose_pydantic import ComposeSpecification

import libs.runtime.settings
import services
from libs.runtime import devkeys
from libs.runtime.settings import Settings, variables
from libs.stack.folders import checkout
from libs.stack.shapes import Plan, argv
from libs.stack.topics import DECIDERS
from tests.servers import KAFKA_IMAGE, POSTGRES_IMAGE, kafka_variables

OFFICIAL = {"kafka", "postgres"}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((checkout() / "docker-compose.yml").read_text())
    # The specification allows x-*, the library does not know it; they are used up when the anchors are resolved.
    return {key: value for key, value in found.items() if not key.startswith("x-")}


def known_variables() -> set[str]:
    """The variables of every settings class in the code, found by importing what may hold one."""
    for module in pkgutil.walk_packages(services.__path__, "services."):
        if module.name.endswith("settings"):
            importlib.import_module(module.name)
    for file in (checkout() / "libs").rglob("*.py"):
        if re.search(r"^class \w+\((Process)?Settings\)", file.read_text(), re.MULTILINE):
            importlib.import_module(".".join(file.relative_to(checkout()).with_suffix("").parts))
    return {name for kind in _below(Settings) for name, _, _ in variables(kind)}


def _below(kind: type[Settings]) -> set[type[Settings]]:
    return {kind}.union(*(_below(child) for child in kind.__subclasses__()))


def ours(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {name: service for name, service in compose["services"].items() if name not in OFFICIAL}


def test_it_follows_the_compose_specification(compose: dict[str, Any]) -> None:
    ComposeSpecification.model_validate(compose)


def test_a_misspelt_key_would_be_found(compose: dict[str, Any]) -> None:
    wrong = compose["services"]["gateway"] | {"comand": ["true"]}
    with pytest.raises(ValueError, match="comand"):
        ComposeSpecification.model_validate(compose | {"services": compose["services"] | {"gateway": wrong}})


def test_every_variable_is_a_setting(compose: dict[str, Any]) -> None:
    known = known_variables()
    assert len(known) > 20
    for name, service in ours(compose).items():
        assert set(service["environment"]) <= known, name


def test_the_images_are_those_of_the_tests(compose: dict[str, Any]) -> None:
    assert compose["services"]["kafka"]["image"] == KAFKA_IMAGE
    assert compose["services"]["postgres"]["image"] == POSTGRES_IMAGE
    set_here = compose["services"]["kafka"]["environment"]
    assert kafka_variables("BROKER", "kafka:9092").items() <= set_here.items()


def test_it_runs_the_processes_of_the_colocated_shape(compose: dict[str, Any]) -> None:
    rows = {"worker" if row.name.startswith("w") else row.name: argv(row)[1:] for row in Plan().rows}
    assert {name: service["command"][1:] for name, service in ours(compose).items() if name != "prepare"} == rows
    assert ",".join(DECIDERS) in compose["services"]["worker"]["command"]


def test_ports_are_published_on_the_loopback_address_only(compose: dict[str, Any]) -> None:
    ports = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_secrets_come_from_outside(compose: dict[str, Any]) -> None:
    text = (checkout() / "docker-compose.yml").read_text()
    for line in text.splitlines():
        if re.search(r"PASSWORD:|SECRET:", line):
            assert re.search(r"\$\{DEED_\w+:\?run `make env`", line), line


def test_tokens_of_the_local_issuer_are_believed(compose: dict[str, Any]) -> None:
    keys = Path("/var/lib/deedbook-keys")
    for name in ("worker", "status", "gateway"):
        assert devkeys.variables(keys).items() <= compose["services"][name]["environment"].items()


def test_settings_are_discovered() -> None:
    assert {name for name, _, _ in variables(libs.runtime.settings.KafkaSettings)} <= known_variables()
