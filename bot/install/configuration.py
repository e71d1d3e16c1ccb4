"""The settings and the files that they name, as the bot finds them in its pod. Pure."""

import hashlib
import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import yaml

from bot.install.installation import APP, Installation
from bot.settings import EventGridSettings, HealthSettings, HttpSettings, Settings
from deploy.actions.redis_address import address_of, holds_login
from deploy.errors import InvalidInput
from deploy.kube.objects import Manifest

DIRECTORY = PurePosixPath("/etc/gateway-bot")
CONFIG_FILE = DIRECTORY / "gateway-bot.yaml"
SECRETS = PurePosixPath("/etc/gateway-bot-secrets")
"""Where the secrets are that are given as files."""
KUBECONFIG = DIRECTORY / "kubeconfig"
"""Where clusters are looked up that name a context and no file."""
_OWN = tuple(
    PurePosixPath(each)
    for each in (
        *(
            str(DIRECTORY),
            str(SECRETS),
            "/tmp",
            "/opt/gateway-bot",
            "/usr",
            "/etc/ssl",
            "/dev",
            "/proc",
            "/sys",
        ),
        *("/bin", "/sbin", "/lib", "/lib64", "/run/secrets", "/var/run/secrets"),
    )
)
"""Directories of the image, of Kubernetes or of other volumes: what is mounted over one, above it or
inside it hides what the bot needs, or is hidden."""
MODE = 0o440
"""Of what is mounted: the pod's group may read it."""
_HOST = "0.0.0.0"


@dataclass(frozen=True)
class Configuration:
    """The settings as text, and the files that the Secret `files` has to hold, by their path."""

    text: str
    files: tuple[PurePosixPath, ...] = ()
    environment: Mapping[str, str] | None = None

    @property
    def digest(self) -> str:
        """Changes with the settings, so that pods of earlier ones are replaced."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:32]


def configuration(settings: Settings, text: str) -> Configuration:
    """What the pod is given. InvalidInput for what cannot work there, or must not be in a ConfigMap."""
    if settings.redis.url is not None:
        _check_redis(settings.redis.url)
    listening: dict[tuple[str, ...], HealthSettings | HttpSettings | EventGridSettings] = {
        ("health",): settings.health
    }
    if settings.slack.mode == "http":
        listening["slack", "http"] = settings.slack.http
    if settings.event_grid is not None:
        listening["event_grid",] = settings.event_grid
    for path, section in listening.items():
        if section.port == 0:
            raise InvalidInput(
                f"{'.'.join(path)}.port is 0, which takes any free port.",
                remedy="Probes and Services need to know it: give a port.",
            )
    local = [path for path, section in listening.items() if _is_local(section.host)]
    files, environment = _files(settings)
    return Configuration(_reachable(text, local) if local else text, files, environment)


def config_map(found: Configuration, installation: Installation) -> Manifest:
    """The settings file."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": installation.metadata(),
        "data": {CONFIG_FILE.name: found.text},
    }


def volumes(found: Configuration, installation: Installation) -> list[dict[str, Any]]:
    """A volume for each directory. They are projected, so what changes there is seen by a running bot."""
    return [
        {
            "name": name,
            "projected": {
                "defaultMode": MODE,
                "sources": _sources(directory, found, installation),
            },
        }
        for name, directory in _directories(found)
    ]


def mounts(found: Configuration) -> list[dict[str, Any]]:
    """Where those volumes are in the container."""
    return [
        {"name": name, "mountPath": str(directory), "readOnly": True}
        for name, directory in _directories(found)
    ]


def _directories(found: Configuration) -> list[tuple[str, PurePosixPath]]:
    others = sorted({file.parent for file in found.files} - {DIRECTORY})
    return [("settings", DIRECTORY), *((f"files-{i}", each) for i, each in enumerate(others, 1))]


def _sources(
    directory: PurePosixPath, found: Configuration, installation: Installation
) -> list[dict[str, Any]]:
    sources: list[dict[str, Any]] = []
    if directory == DIRECTORY:
        sources.append({"configMap": {"name": APP}})
    here = [file for file in found.files if file.parent == directory]
    if here:
        items = [{"key": file.name, "path": file.name} for file in here]
        sources.append({"secret": {"name": installation.files, "items": items}})
    return sources


def _files(settings: Settings) -> tuple[tuple[PurePosixPath, ...], dict[str, str]]:
    environment = {}
    files = [PurePosixPath(c.kubeconfig) for c in settings.clusters if c.kubeconfig is not None]
    if any(not c.in_cluster and c.kubeconfig is None for c in settings.clusters):
        files.append(KUBECONFIG)
        environment["KUBECONFIG"] = str(KUBECONFIG)
    if settings.images.docker_config is not None:
        files.append(PurePosixPath(settings.images.docker_config))
    unique = tuple(dict.fromkeys(files))
    _can_be_mounted(unique)
    return unique, environment


def _can_be_mounted(files: Sequence[PurePosixPath]) -> None:
    for file in files:
        if not file.is_absolute():
            raise InvalidInput(
                f"The settings name the file {file}, and in a pod its path has to be absolute.",
                remedy=f"Write {DIRECTORY / file.name}.",
            )
        if file == CONFIG_FILE:
            raise InvalidInput(f"{file} is reserved for the settings.", remedy="Rename your file.")
    names = [file.name for file in files]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InvalidInput(
            f"Two files of the settings are called {twice}, and both come from one Secret.",
            remedy="Rename one of them.",
        )
    _check_directories([file for file in files if file.parent != DIRECTORY])


def _check_directories(files: Sequence[PurePosixPath]) -> None:
    for file in files:
        hidden = next((o for o in _OWN if _covers(file.parent, o) or _covers(o, file.parent)), None)
        if hidden is not None or ".." in file.parts or file.root != "/":
            raise InvalidInput(
                f"The settings name {file}, and a volume at {file.parent} would hide what the "
                f"container has in {hidden or file.parent}.",
                remedy=f"Write {DIRECTORY / file.name}.",
            )
    nested = next(((a, b) for a in files for b in files if a.parent in b.parent.parents), None)
    if nested is not None:
        raise InvalidInput(
            f"The settings name {nested[0]} and {nested[1]}, and one volume cannot be inside another.",
            remedy=f"Write {DIRECTORY / nested[1].name}.",
        )


def _covers(one: PurePosixPath, other: PurePosixPath) -> bool:
    return one == other or one in other.parents


def _check_redis(url: str) -> None:
    if holds_login(url):
        raise InvalidInput(
            "redis.url holds a user or a password, and settings become a ConfigMap.",
            remedy="Remove redis.url from the file, and put REDIS_URL into the Secret.",
        )
    # Its certificates are files of the pod.
    if not address_of(url, check_files=False).hosts:
        raise InvalidInput(
            "redis.url is a Unix socket, which pods of a Deployment do not share.",
            remedy="Name a server: rediss://HOST:PORT.",
        )


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _reachable(text: str, paths: Sequence[tuple[str, ...]]) -> str:
    """The settings with those parts listening on the pod's address: nobody else reaches another."""
    data = yaml.safe_load(text)
    for path in paths:
        section = data
        for name in path:
            section[name] = dict(section.get(name) or {})
            section = section[name]
        section["host"] = _HOST
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=100)
