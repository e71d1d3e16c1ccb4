"""How the bot is to run in a cluster: what the settings do not say. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from deploy.errors import InvalidInput

APP = "gateway-bot"
SLACKS_PLACES = 9
"""Slack allows an app ten connections, and the last is left to a bot that has none: docs/socket-mode.md."""
Form = Literal["env", "files"]
_DNS_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")


@dataclass(frozen=True)
class Installation:
    """Where and as what the bot runs; `secret` and `files` are names of Secrets that somebody makes.
    `secrets` says whether the bot is given `secret` as variables or as files."""

    image: str
    namespace: str = APP
    replicas: int = 2
    secret: str = APP
    secrets: Form = "env"
    files: str = f"{APP}-files"
    host: str | None = None
    ingress_class: str | None = None
    tls_secret: str = f"{APP}-tls"
    gateway_namespaces: tuple[str, ...] = ()
    redis_ports: tuple[int, ...] = ()
    egress_ports: tuple[int, ...] = ()

    def checked(self) -> "Installation":
        """The same. InvalidInput where a value cannot be right."""
        if not 1 <= self.replicas <= SLACKS_PLACES:
            raise InvalidInput(
                f"--replicas {self.replicas}: between 1 and {SLACKS_PLACES} are possible."
            )
        names = {
            "--namespace": (self.namespace,),
            "--secret": (self.secret,),
            "--gateway-namespace": self.gateway_namespaces,
            "--host": (self.host,) if self.host is not None else (),
        }
        for option, values in names.items():
            for value in values:
                if not _DNS_NAME.fullmatch(value):
                    raise InvalidInput(f"{option} “{value}” is not a name that Kubernetes accepts.")
        return self

    @property
    def selector(self) -> dict[str, str]:
        """The labels by which the bot's pods are found."""
        return {"app.kubernetes.io/name": APP}

    @property
    def rights_name(self) -> str:
        """Of the objects that give rights outside the bot's own namespace, where another installation
        has its own: an object of the same name would replace whom the first one is bound to."""
        return APP if self.namespace == APP else f"{APP}-{self.namespace}"

    def metadata(self, name: str = APP, annotations: Mapping[str, str] | None = None) -> Any:
        """The metadata of an object of the bot's own namespace."""
        found: dict[str, Any] = {
            "name": name,
            "namespace": self.namespace,
            "labels": self.selector,
        }
        return {**found, "annotations": dict(annotations)} if annotations else found
