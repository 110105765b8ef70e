"""Kafka's classes as the JVM keeps them ready to map (a CDS archive), made once per Java and set of jars.

It halves the CPU time of a start, which matters since tests and demos start many brokers. Without it all works, slower.
"""

from __future__ import annotations

import hashlib
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

from libs.stack import jars
from libs.stack.errors import StackError
from libs.stack.folders import Folder, cache, turn
from libs.stack.kafka import Kafka
from libs.stack.ports import Ports


def options() -> tuple[str, ...]:
    """The JVM options that use the archive; none when it cannot be made."""
    java, classpath = jars.java(), jars.classpath()
    version = subprocess.run([java, "-version"], capture_output=True, check=False).stderr
    name = hashlib.sha256(version + classpath.encode()).hexdigest()[:16]
    archive = cache() / "jars" / f"{name}.jsa"
    if not archive.exists():
        with turn(archive.with_suffix(".lock")), suppress(StackError):
            if not archive.exists():
                _make(archive)
    return (f"-XX:SharedArchiveFile={archive}",) if archive.exists() else ()


def _make(archive: Path) -> None:
    """The classes of one start and stop of a broker are what every broker needs."""
    fresh = archive.with_suffix(".new")
    with tempfile.TemporaryDirectory(prefix="deedbook-") as place:
        folder = Folder(Path(place))
        folder.create()
        # Some old classes cannot be archived; the JVM says so for each of them.
        said = ("-Xlog:cds=off", "-Xlog:cds+dynamic=off")
        kafka = Kafka(folder, Ports(folder.ports), lambda: (f"-XX:ArchiveClassesAtExit={fresh}", *said))
        try:
            kafka.start()
        finally:
            kafka.stop()
    if fresh.exists():
        fresh.replace(archive)
