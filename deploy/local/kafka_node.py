"""A Kafka node (KRaft), from the jars that `make setup` brought: one by itself, or one of several."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from deploy.local.errors import MissingError
from deploy.local.ports import HOST

REPOSITORY = Path(__file__).resolve().parents[2]
KAFKA_HOME = REPOSITORY / ".local" / "kafka"
SHARED_SETTINGS = Path(__file__).parent / "kafka" / "server.properties"
JVM = ("-Xmx1g", "-XX:+UseSerialGC", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")
# The quick compiler alone: up in half the time, and no threads taken from the models. A broker that stays up for long does half
# of the work with the other one.
QUICK = "-XX:TieredStopAtLevel=1"
LOGGING = ("-Dorg.slf4j.simpleLogger.showDateTime=true", "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS")


@dataclass(frozen=True, slots=True)
class KafkaNode:
    """Where one node listens and keeps its data."""

    port: int
    controller_port: int
    folder: Path
    # A node killed (-9) and started again is let in only when its former self has been silent for so long.
    session_ms: int = 9_000
    quick: bool = True
    node_id: int = 1
    # What this node is told otherwise than a node by itself: more listeners, the other nodes of its cluster.
    more: Mapping[str, str] = field(default_factory=dict)

    def prepare(self) -> None:
        """Write its settings, and format its data folder unless that was done before.

        A fresh folder is a copy of one formatted at setup, which holds no ports and saves a JVM. Raises MissingError.
        """
        data = self.folder / "data"
        if not (data / "meta.properties").exists():
            formatted = KAFKA_HOME / "formatted"
            if not (formatted / "meta.properties").exists():
                raise MissingError(f"{formatted} is not there: run `make setup`")
            data.mkdir(parents=True, exist_ok=True)
            for file in sorted(formatted.iterdir()):
                shutil.copyfile(file, data / file.name)
            self._name(data / "meta.properties")
        (self.folder / "server.properties").write_text(self.properties())

    def _name(self, meta: Path) -> None:
        # The copy is of node 1. No two nodes of a cluster may have a number, or the id of a data folder, in common.
        text = meta.read_text().replace("node.id=1\n", f"node.id={self.node_id}\n")
        meta.write_text(re.sub("(?m)^directory.id=.", f"directory.id={self.node_id}", text))

    def properties(self) -> str:
        """The whole settings file of this node."""
        own = {
            "node.id": str(self.node_id),
            "listeners": f"BROKER://{HOST}:{self.port},CONTROLLER://{HOST}:{self.controller_port}",
            "advertised.listeners": f"BROKER://{HOST}:{self.port}",
            "controller.quorum.voters": f"1@{HOST}:{self.controller_port}",
            "log.dirs": str(self.folder / "data"),
            "broker.session.timeout.ms": str(self.session_ms),
            "broker.heartbeat.interval.ms": str(self.session_ms // 6),
        }
        settings = own | dict(self.more)
        return SHARED_SETTINGS.read_text() + "\n" + "".join(f"{name}={value}\n" for name, value in settings.items())

    def command(self) -> tuple[str, ...]:
        """What to execute; it stays in the foreground and logs warnings to standard error. Raises MissingError."""
        return (*java(*(QUICK,) if self.quick else ()), *self.main())

    def main(self) -> tuple[str, ...]:
        """The class that is this node, and its argument."""
        return ("kafka.Kafka", str(self.folder / "server.properties"))


def java(*options: str) -> tuple[str, ...]:
    """The Java command line up to the class's name, with the archive of loaded classes if made. Raises MissingError."""
    program = shutil.which("java")
    # Sorted, since the archive of classes holds only for the very class path it was made with.
    jars = sorted(str(jar) for jar in (KAFKA_HOME / "libs").glob("*.jar"))
    if program is None or not jars:
        missing = "the program `java`" if program is None else f"Kafka's jars in {KAFKA_HOME / 'libs'}"
        raise MissingError(f"{missing} is not there: run `make setup`")
    archive = KAFKA_HOME / "classes.jsa"
    # An archive made by another Java is passed over, without a word.
    shared = (f"-XX:SharedArchiveFile={archive}", "-Xlog:cds=off", "-Xlog:cds+dynamic=off") if archive.exists() else ()
    return (program, *JVM, *LOGGING, *shared, *options, "-cp", ":".join(jars))
