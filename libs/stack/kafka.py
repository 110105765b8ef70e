"""One real Kafka node (KRaft, broker and controller in one), for this machine only."""

from __future__ import annotations

import base64
import os
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path

from libs.stack import jars
from libs.stack.errors import StartFailed
from libs.stack.folders import Folder
from libs.stack.ports import Ports, is_listening
from libs.stack.processes import Child

NAME = "kafka"
READY_S = 60.0
STOP_S = 30.0
# The first compiler only: the second takes a third of a core for minutes, which costs two cores a fifth of all deeds.
JVM = ("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true")

# Replication is 1 since there is one node; acks=all and Kafka's own flushing stay as they are. Nothing creates topics
# by itself: a misspelt topic must be an error. 1 MiB is the limit of a record on every topic. After a kill -9 the
# controller lets the broker in again only when its old session has run out: 3 s instead of 9. The folder is relative,
# since Kafka takes a comma in a path for the end of it.
PROPERTIES = """\
process.roles=broker,controller
node.id=1
listeners=BROKER://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=BROKER://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
listener.security.protocol.map=BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=BROKER
controller.quorum.bootstrap.servers=127.0.0.1:{controller_port}
log.dirs=data
auto.create.topics.enable=false
message.max.bytes=1048576
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
log.cleaner.dedupe.buffer.size=16777216
num.network.threads=2
num.io.threads=4
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=3000
"""


class Kafka:
    """The broker of one data folder. `start` and `stop` may be called again and again, also after a kill -9."""

    name = NAME

    def __init__(
        self, folder: Folder, ports: Ports, options: Callable[[], tuple[str, ...]] = tuple, settings: str = ""
    ) -> None:
        """`options`: further options of the JVM, asked for at each start. `settings`: further lines of properties."""
        self._options, self._settings = options, settings
        self._folder = folder
        self._ports = ports
        self.child = Child(NAME, folder.run, folder.logs / "kafka.log")
        self.port = 0

    @property
    def bootstrap(self) -> str:
        """Where clients connect."""
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int | None:
        """The pid of the running broker."""
        return self.child.pid

    @property
    def _properties(self) -> Path:
        return self._folder.kafka / "server.properties"

    def begin(self) -> None:
        """Starts the broker without waiting for it; `ready` waits."""
        # Once it has run, clients know its port: a broker that comes back insists on it.
        self.port = self.port or self._ports.get("kafka")
        text = PROPERTIES.format(port=self.port, controller_port=self._ports.get("kafka-controller"))
        self._properties.write_text(text + self._settings)
        java = [jars.java(), *JVM, *self._options()]
        command = [*java, f"-Dlog4j2.configurationFile={Path(__file__).with_name('log4j2.xml').as_uri()}"]
        env = {**os.environ, "CLASSPATH": jars.classpath()}
        self._format(command, env)
        words = ["kafka.Kafka", str(self._properties)]
        self.child.spawn([*command, *words], words, env, self._folder.kafka)

    def ready(self) -> None:
        """Waits until the broker takes requests (it listens only after it has registered itself)."""
        deadline = time.monotonic() + READY_S
        while not is_listening(self.port):
            if self.pid is None or time.monotonic() > deadline:
                why = "ended" if self.pid is None else f"was not ready in {READY_S:.0f} s"
                self.stop()
                raise StartFailed(f"Kafka {why}: see {self.child.log}.")
            time.sleep(0.03)

    def start(self) -> str:
        """Starts the broker and waits for it. Returns the bootstrap address."""
        self.begin()
        self.ready()
        return self.bootstrap

    def stop(self) -> None:
        """Lets the broker close its logs, and kills it when it cannot."""
        self.child.end(signal.SIGTERM, STOP_S)

    def kill(self) -> None:
        """kill -9, as a crash would; for tests."""
        self.child.end(signal.SIGKILL)

    def _format(self, command: list[str], env: Mapping[str, str]) -> None:
        done = self._folder.kafka / "formatted"
        if done.exists():
            return
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "A", 1)
        argv = ["kafka.tools.StorageTool", "format", "--standalone", "--ignore-formatted", "-t", cluster]
        said = subprocess.run(
            [*command, *argv, "-c", str(self._properties)],
            capture_output=True,
            text=True,
            check=False,
            env=env,
            cwd=self._folder.kafka,
        )
        if said.returncode != 0:
            raise StartFailed(f"Kafka's storage could not be made: {(said.stderr or said.stdout).strip()[-500:]}")
        done.write_text(cluster)
