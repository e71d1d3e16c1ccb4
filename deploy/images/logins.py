"""Where credentials of image registries come from: the environment, or a Docker configuration.

A secret is in no error, log or repr. Files are read anew for each sign-in, because what mounts them
also renews them.
"""

import base64
import binascii
import json
import os
import re
import signal
import subprocess
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deploy.errors import Unavailable

TOKEN_USER = "00000000-0000-0000-0000-000000000000"
"""With it Azure Container Registry takes a refresh token for the password (github.com/Azure/acr,
docs/AAD-OAuth.md; read 2026-11-30)."""
_HELPER_TOKEN = "<token>"
"""In place of a user a helper's answer says so that its secret is an identity token
(github.com/docker/cli, cli/config/credentials/native_store.go; read 2026-11-30)."""
_HELPER = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_HELPER_SECONDS = 6.0
_NOT_THERE = b"credentials not found in native keychain"
"""What a helper prints that has none (github.com/docker/docker-credential-helpers,
credentials/error.go and client/client.go; read 2026-11-30)."""
_HUB = ("registry-1.docker.io", "docker.io", "index.docker.io")
_HUB_SERVER = "https://index.docker.io/v1/"
"""As what Docker signs in to its Hub (github.com/moby/moby, daemon/pkg/registry/config.go; read
2026-11-30)."""


@dataclass(frozen=True)
class Login:
    """Whom a registry is to know. With `renews` the secret is a refresh token, of which the registry
    makes those that it takes. `source` is where it stands, for people."""

    user: str
    secret: str = field(repr=False)
    renews: bool = False
    source: str = ""


@dataclass(frozen=True)
class Keyring:
    """`given` are logins by host with port, asked for at each sign-in; `docker_config` is a file as
    `docker login` and pull secrets of Kubernetes have it, None where there is none."""

    given: Mapping[str, Callable[[], Login]] = field(default_factory=dict)
    docker_config: Path | None = None

    def login(self, host: str, repository: str) -> Login | None:
        """That of a registry, for a path there; None where it has none. Unavailable where the file
        or its helper cannot tell."""
        if host in self.given:
            return self.given[host]()
        if self.docker_config is None:
            return None
        source = f"the Docker configuration {self.docker_config}"
        try:
            config = json.loads(self.docker_config.read_text(encoding="utf-8"))
        except OSError as error:
            raise Unavailable(
                f"{_capital(source)} cannot be read: {error.strerror}.",
                remedy="Correct `images.docker_config` in the settings.",
            ) from error
        except ValueError:
            # Not the error itself, which holds the text.
            raise _unusable(source, "it is not JSON") from None
        if not isinstance(config, dict):
            raise _unusable(source, "it is JSON without `auths`")
        return _login(config, host, repository, source)


def login_of(user: str, secret: str, source: str) -> Login:
    """A login with a password, or with a refresh token where the user says so."""
    return Login(user, secret, renews=user == TOKEN_USER, source=source)


def _login(config: Mapping[str, Any], host: str, repository: str, source: str) -> Login | None:
    """As Docker looks for it: the registry's own helper, else the helper for all, else the file. An
    empty name is not a helper (github.com/docker/cli, cli/config/configfile/file.go; read 2026-11-30)."""
    helper = _entry(config.get("credHelpers"), host, repository)
    if helper is None:
        helper = config.get("credsStore")
    if helper:
        return _helped(helper, _HUB_SERVER if host in _HUB else host)
    entry = _entry(config.get("auths"), host, repository)
    return _written(entry, f"{source}, `auths`") if isinstance(entry, dict) else None


def _entry(entries: Any, host: str, repository: str) -> Any:
    """That of the registry, or of the longest path of it that holds the repository.

    A key is a host, with or without scheme and API version, or a host and a path, as Kubernetes
    allows (github.com/kubernetes/website, content/zh-cn/docs/concepts/containers/images.md, "Interpretation
    of config.json"; read 2026-11-30). Wildcards match nothing here.
    """
    if not isinstance(entries, dict):
        return None
    found: tuple[int, str] | None = None
    for key in entries:
        at, _, path = key.partition("://")[2].partition("/") if "://" in key else key.partition("/")
        path = "" if path.strip("/") in ("", "v1", "v2") else path.strip("/")
        same = at == host or (host in _HUB and at in _HUB)
        inside = not path or f"{repository}/".startswith(f"{path}/")
        if same and inside and (found is None or len(path) > found[0]):
            found = len(path), key
    return entries[found[1]] if found is not None else None


def _written(entry: Mapping[str, Any], source: str) -> Login | None:
    user, secret = str(entry.get("username") or ""), str(entry.get("password") or "")
    if entry.get("auth"):
        try:
            text = base64.b64decode(str(entry["auth"]), validate=True).decode()
        except (binascii.Error, ValueError):
            raise _unusable(source, "`auth` is not base64") from None
        user, _, secret = text.partition(":")
    if entry.get("identitytoken"):
        return Login(user or TOKEN_USER, str(entry["identitytoken"]), renews=True, source=source)
    return login_of(user, secret, source) if user and secret else None


def _helped(helper: Any, server: str) -> Login | None:
    """What a helper says of a server, which it is asked on its standard input."""
    if not isinstance(helper, str) or not _HELPER.fullmatch(helper):
        raise _unusable(
            "The Docker configuration", ("the name of a credential helper is empty or not valid")
        )
    program = f"docker-credential-{helper}"
    try:
        process = subprocess.Popen(
            [program, "get"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        raise _unusable(program, f"it cannot be run: {error.strerror}") from None
    try:
        printed, _ = process.communicate(server.encode(), timeout=_HELPER_SECONDS)
    except subprocess.TimeoutExpired:
        raise _unusable(program, f"it did not end within {_HELPER_SECONDS:.0f} s") from None
    finally:
        # What it has started may hold its output open.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
    if process.returncode != 0:
        if printed.strip() == _NOT_THERE:
            return None
        raise _unusable(program, f"its exit status is {process.returncode}")
    try:
        answer = json.loads(printed)
        user, secret = str(answer["Username"]), str(answer["Secret"])
    except (ValueError, KeyError, TypeError):
        raise _unusable(program, "its output is not that of a credential helper") from None
    if user == _HELPER_TOKEN:
        return Login(TOKEN_USER, secret, renews=True, source=program)
    return login_of(user, secret, program) if secret else None


def _unusable(what: str, why: str) -> Unavailable:
    return Unavailable(
        f"{_capital(what)} provides no credentials for the image registry: {why}.",
        remedy="Correct it as docs/install.md, “Image registries”, shows.",
        untouched=True,
    )


def _capital(text: str) -> str:
    return text if text.startswith("docker-") else f"{text[0].upper()}{text[1:]}"
