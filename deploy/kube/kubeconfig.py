"""What a kubeconfig says of one context, as kubectl reads it; nothing is run or connected here.

No error repeats anything of a user's entry, nor a line of the file: they hold secrets.
"""

import base64
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

_EXEC_VERSIONS = tuple(f"client.authentication.k8s.io/{version}" for version in ("v1", "v1beta1"))
_CONFIG_EXTENSION = "client.authentication.k8s.io/exec"


class Unusable(Exception):
    """Why a kubeconfig cannot be used, as a clause without its full stop."""


@dataclass(frozen=True)
class FileOrData:
    """A PEM text, inline or in a file that may be written anew at any time."""

    data: str = field(default="", repr=False)
    path: Path | None = None

    def __bool__(self) -> bool:
        return bool(self.data) or self.path is not None

    def read(self) -> str:
        """The text. OSError or ValueError where the file cannot be read."""
        return self.path.read_text() if self.path is not None else self.data


@dataclass(frozen=True)
class Server:
    """Where a cluster is, and how to know it."""

    url: str
    authority: FileOrData
    verified: bool = True
    name: str = ""
    """For TLS, where it is another than the URL's host."""
    proxy: str = field(default="", repr=False)
    """Its URL may hold a password."""
    exec_config: Any = field(default=None, repr=False)
    """What the cluster's entry has for plugins that ask for it."""


@dataclass(frozen=True)
class Plugin:
    """A program that gives credentials. `env` is what it is given besides the bot's own."""

    command: str
    api_version: str
    args: tuple[str, ...] = field(default=(), repr=False)
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    hint: str = ""
    provide_cluster: bool = False

    @property
    def name(self) -> str:
        """For people."""
        return Path(self.command).name


@dataclass(frozen=True)
class User:
    """How the bot proves who it is, and whom it acts as."""

    token: str = field(default="", repr=False)
    token_file: Path | None = None
    username: str = ""
    password: str = field(default="", repr=False)
    certificate: FileOrData = FileOrData()
    key: FileOrData = FileOrData()
    plugin: Plugin | None = None
    provider: str = ""
    """The name of an `auth-provider`, the older kind of plugin."""
    impersonation: tuple[tuple[str, str], ...] = ()
    """Headers, of which some come several times."""


@dataclass(frozen=True)
class _Entry:
    value: Mapping[str, Any] = field(repr=False)
    base: Path
    """Of paths that are not absolute."""


def read(location: str, context: str | None) -> tuple[Server, User]:
    """The server and user of a context, or of the current one; `location` is one file or several, as
    in $KUBECONFIG. Unusable."""
    files = [Path(part).expanduser() for part in location.split(os.pathsep) if part]
    loaded = [(_load(path), path.absolute().parent) for path in files if os.path.exists(path)]
    if not loaded:
        raise Unusable(f"there is no file {location}")
    current = context or next(
        (str(c) for value, _ in loaded if (c := value.get("current-context"))), ""
    )
    if not current:
        raise Unusable("it has no current-context")
    chosen = _named(loaded, "contexts", "context", current)
    cluster = _named(loaded, "clusters", "cluster", str(chosen.value.get("cluster") or ""))
    who = str(chosen.value.get("user") or "")
    user = _named(loaded, "users", "user", who) if who else _Entry({}, Path())
    return _server(cluster), _user(user)


def impersonation_headers(user: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """The headers that make the bot act as somebody else, from a user's entry. Unusable."""
    name, uid = str(user.get("as") or ""), str(user.get("as-uid") or "")
    groups = _texts(user.get("as-groups"), "as-groups")
    extra = _mapping(user.get("as-user-extra"), "as-user-extra")
    if not name:
        if uid or groups or extra:
            raise Unusable("its user has as-groups, as-uid or as-user-extra without as")
        return ()
    headers = [("Impersonate-User", name)]
    headers += [("Impersonate-Uid", uid)] if uid else []
    headers += [("Impersonate-Group", group) for group in groups]
    headers += [
        (f"Impersonate-Extra-{_escaped(str(key))}", value)
        for key, values in extra.items()
        for value in _texts(values, "as-user-extra")
    ]
    if not all(value.isascii() and value.isprintable() for _, value in headers):
        raise Unusable("the user in `as` contains characters that an HTTP header cannot have")
    return tuple(headers)


def exec_info(plugin: Plugin, server: Server) -> Mapping[str, Any]:
    """The ExecCredential that a plugin reads from KUBERNETES_EXEC_INFO. OSError or ValueError where the
    certificate authority's file cannot be read."""
    spec: dict[str, Any] = {"interactive": False}
    if plugin.provide_cluster:
        authority = server.authority.read()
        about = {
            "server": server.url,
            "tls-server-name": server.name,
            "insecure-skip-tls-verify": not server.verified,
            "certificate-authority-data": base64.b64encode(authority.encode()).decode(),
            "proxy-url": server.proxy,
            "config": server.exec_config,
        }
        spec["cluster"] = {key: value for key, value in about.items() if value}
    return {"apiVersion": plugin.api_version, "kind": "ExecCredential", "spec": spec}


def _load(path: Path) -> Mapping[str, Any]:
    try:
        value = yaml.safe_load(path.read_text())
    except yaml.MarkedYAMLError as error:
        line = f" in line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise Unusable(f"{path} is not YAML{line}") from None
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise Unusable(f"{path} cannot be read: {type(error).__name__}") from None
    if not isinstance(value, dict):
        raise Unusable(f"{path} is empty or not a kubeconfig")
    return value


def _named(
    loaded: Sequence[tuple[Mapping[str, Any], Path]], items: str, item: str, name: str
) -> _Entry:
    """The first of that name: earlier files win."""
    for value, base in loaded:
        for each in value.get(items) or ():
            if isinstance(each, dict) and each.get("name") == name:
                return _Entry(_mapping(each.get(item), f"{item} “{name}”"), base)
    raise Unusable(f"it has no {item} “{name}”")


def _server(entry: _Entry) -> Server:
    value = entry.value
    url = str(value.get("server") or "").rstrip("/")
    if not url:
        raise Unusable("its cluster has no server")
    extensions = {
        str(each.get("name")): each.get("extension")
        for each in value.get("extensions") or ()
        if isinstance(each, dict)
    }
    return Server(
        url,
        _file_or_data(entry, "certificate-authority"),
        verified=not value.get("insecure-skip-tls-verify"),
        name=str(value.get("tls-server-name") or ""),
        proxy=str(value.get("proxy-url") or ""),
        exec_config=extensions.get(_CONFIG_EXTENSION),
    )


def _user(entry: _Entry) -> User:
    value = entry.value
    program, provider = value.get("exec"), value.get("auth-provider")
    if program and provider:
        raise Unusable("its user has both exec and auth-provider")
    token_file = str(value.get("tokenFile") or "")
    return User(
        token=str(value.get("token") or ""),
        token_file=entry.base / token_file if token_file else None,
        username=str(value.get("username") or ""),
        password=str(value.get("password") or ""),
        certificate=_file_or_data(entry, "client-certificate"),
        key=_file_or_data(entry, "client-key"),
        plugin=_plugin(_mapping(program, "exec"), entry.base) if program else None,
        provider=str(_mapping(provider, "auth-provider").get("name") or ""),
        impersonation=impersonation_headers(value),
    )


def _plugin(value: Mapping[str, Any], base: Path) -> Plugin:
    command, version = str(value.get("command") or ""), str(value.get("apiVersion") or "")
    if not command:
        raise Unusable("its exec has no command")
    if version not in _EXEC_VERSIONS:
        raise Unusable(
            f"the apiVersion of its exec is “{version}”; only {' and '.join(_EXEC_VERSIONS)} are "
            "supported"
        )
    if value.get("interactiveMode") == "Always":
        raise Unusable("its exec has interactiveMode Always, but the bot has no terminal")
    # Like kubectl: a bare name is looked up in PATH, a path begins where the kubeconfig is.
    found = str(base / command) if os.sep in command else command
    env = [_mapping(each, "env of exec") for each in value.get("env") or ()]
    return Plugin(
        found,
        version,
        args=_texts(value.get("args"), "args of exec"),
        env={str(each.get("name")): str(each.get("value") or "") for each in env},
        hint=" ".join(str(value.get("installHint") or "").split()),
        provide_cluster=bool(value.get("provideClusterInfo")),
    )


def _file_or_data(entry: _Entry, key: str) -> FileOrData:
    if data := entry.value.get(f"{key}-data"):
        try:
            return FileOrData(base64.b64decode(str(data), validate=False).decode())
        except ValueError:
            raise Unusable(f"its {key}-data is not PEM in base64") from None
    path = str(entry.value.get(key) or "")
    return FileOrData(path=entry.base / path) if path else FileOrData()


def _mapping(value: Any, what: str) -> Mapping[str, Any]:
    if value is not None and not isinstance(value, dict):
        raise Unusable(f"its {what} is not a mapping")
    return value or {}


def _texts(value: Any, what: str) -> tuple[str, ...]:
    if value is not None and not isinstance(value, list):
        raise Unusable(f"its {what} is not a list")
    return tuple(str(each) for each in value or ())


def _escaped(key: str) -> str:
    """A key in a header's name, as client-go writes it: what may not stand there, in percent."""
    legal = "!#$&'*+-.^_`|~"
    return "".join(
        chr(byte)
        if (chr(byte).isascii() and chr(byte).isalnum()) or chr(byte) in legal
        else f"%{byte:02X}"
        for byte in key.encode()
    )
