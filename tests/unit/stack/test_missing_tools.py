"""What is missing is said in one sentence, with the remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from libs.stack import jars
from libs.stack.errors import MissingTool


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with nothing but what the test puts into this folder, and nothing fetched before."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("DEED_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    return folder


def add(folder: Path, name: str, text: str) -> Path:
    program = folder / name
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(0o755)
    return program


def test_no_java(programs: Path) -> None:
    with pytest.raises(MissingTool) as said:
        jars.java()
    assert str(said.value) == (
        "Kafka needs Java 17 or newer and none was found: install a JRE, start with `docker compose up`,"
        " or set DEED_KAFKA_BOOTSTRAP to a Kafka that runs."
    )


def test_a_java_that_is_too_old(programs: Path) -> None:
    program = add(programs, "java", "echo 'openjdk version \"11.0.2\" 2019-01-15' >&2")
    with pytest.raises(MissingTool, match=f"Java 17 or newer but {program} is 11: install one"):
        jars.java()


@pytest.mark.parametrize("version", ["17.0.15", "21", "25.0.1"])
def test_a_java_that_is_new_enough(programs: Path, version: str) -> None:
    program = add(programs, "java", f"echo 'openjdk version \"{version}\"' >&2")
    assert jars.java() == str(program)


def test_the_java_of_java_home_goes_first(programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add(programs, "java", "echo 'openjdk version \"11\"' >&2")
    (tmp_path / "jdk" / "bin").mkdir(parents=True)
    program = add(tmp_path / "jdk" / "bin", "java", "echo 'openjdk version \"21\"' >&2")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "jdk"))
    assert jars.java() == str(program)


def test_no_maven(programs: Path) -> None:
    with pytest.raises(MissingTool, match="Kafka's jars need Maven once and `mvn` was not found: install Maven"):
        jars.classpath()
