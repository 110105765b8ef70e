"""Kafka's jars: named by `pom.xml`, resolved by Maven, kept in the cache folder under the hash of that file."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from libs.stack.errors import MissingTool, StartFailed
from libs.stack.folders import cache, checkout

JAVA_MIN = 17
DOWNLOAD_S = 600
INSTEAD = "start with `docker compose up`, or set DEED_KAFKA_BOOTSTRAP to a Kafka that runs"


def java() -> str:
    """The Java program, checked for its version."""
    home = os.environ.get("JAVA_HOME", "")
    program = shutil.which("java", path=f"{home}/bin") if home else None
    program = program or shutil.which("java")
    if program is None:
        raise MissingTool(f"Kafka needs Java {JAVA_MIN} or newer and none was found: install a JRE, {INSTEAD}.")
    said = subprocess.run([program, "-version"], capture_output=True, text=True, check=False)
    version = re.search(r'version "(\d+)', said.stderr + said.stdout)
    if version is None or int(version.group(1)) < JAVA_MIN:
        found = version.group(1) if version else "one that does not run"
        raise MissingTool(f"Kafka needs Java {JAVA_MIN} or newer but {program} is {found}: install one, {INSTEAD}.")
    return program


def classpath() -> str:
    """The class path of Kafka, always in the same order; the jars are fetched at the first use."""
    pom = checkout() / "pom.xml"
    folder = cache() / "jars" / hashlib.sha256(pom.read_bytes()).hexdigest()[:16]
    if not folder.is_dir():
        _fetch(pom, folder)
    return ":".join(str(jar) for jar in sorted(folder.glob("*.jar")))


def _fetch(pom: Path, folder: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise MissingTool(f"Kafka's jars need Maven once and `mvn` was not found: install Maven, {INSTEAD}.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Into a folder of its own and then renamed: a half-filled one is never taken for the whole.
    fresh = Path(tempfile.mkdtemp(dir=folder.parent, prefix="fetching-"))
    argv = [maven, "-q", "-B", "-f", str(pom), "dependency:copy-dependencies", f"-DoutputDirectory={fresh}"]
    try:
        done = subprocess.run(
            [*argv, "-DincludeScope=runtime"], capture_output=True, text=True, timeout=DOWNLOAD_S, check=False
        )
        if done.returncode != 0:
            lines = [line for line in (done.stdout + done.stderr).splitlines() if "ERROR" in line]
            cause = lines[0] if lines else f"exit status {done.returncode}"
            raise StartFailed(f"Maven could not fetch Kafka's jars ({cause}): is its repository reachable?")
        if not folder.is_dir():
            fresh.replace(folder)
    except subprocess.TimeoutExpired:
        raise StartFailed(f"Maven did not fetch Kafka's jars in {DOWNLOAD_S} s: is its repository reachable?") from None
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
