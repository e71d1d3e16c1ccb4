"""What every pod on the node works with, and what the node remembers of its containers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bot.sandbox.node.addresses import AddressPool
from bot.sandbox.node.api import Api, Json
from bot.sandbox.node.containerlog import ContainerLog, Line
from bot.sandbox.node.events import EventRecorder
from bot.sandbox.node.gateway import Gateway
from bot.sandbox.node.gateway_link import Network
from bot.sandbox.node.images import TagSource
from bot.sandbox.node.program import Launch, Pause, Program

_LINES_KEPT = 500


@dataclass
class ContainerMemory:
    """A live container's environment, log and private memory, by which it survives a restart."""

    env: dict[str, str] = field(repr=False)
    log: ContainerLog
    memory: dict[str, Any] = field(repr=False, default_factory=dict)

    def snapshot(self) -> Json:
        """As JSON. It holds the environment, so whoever stores it must keep it private."""
        lines = [[line.at_ns, line.text] for line in self.log.newest(_LINES_KEPT)]
        return {"env": self.env, "log": lines, "memory": self.memory}

    @classmethod
    def restore(cls, data: Mapping[str, Any]) -> "ContainerMemory":
        """The reverse of snapshot()."""
        log = ContainerLog(Line(at_ns, text) for at_ns, text in data["log"])
        return cls(dict(data["env"]), log, dict(data["memory"]))


@dataclass
class Services:
    """The node's shared parts. Times elsewhere are multiplied by `network.time_scale`."""

    api: Api
    events: EventRecorder
    network: Network
    addresses: AddressPool
    tags: TagSource | None
    startup_seconds: float
    changed: Callable[[], None]
    backups: dict[str, Json] = field(default_factory=dict)
    memories: dict[str, ContainerMemory] = field(default_factory=dict)
    pulled: set[tuple[str, str]] = field(default_factory=set)

    def scaled(self, seconds: float) -> float:
        """A kubelet's time, as long as it is to take here."""
        return seconds * self.network.time_scale

    def program(self, launch: Launch, *, ends: bool) -> Program:
        """The program of an image."""
        if launch.image.is_gateway and not ends:
            return Gateway(
                launch,
                self.network,
                startup_seconds=self.startup_seconds,
                backups=self.backups,
                changed=self.changed,
            )
        return Pause(launch, ends=ends)
