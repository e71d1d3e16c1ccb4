"""The files a world leaves for others: kubeconfigs, YAML that holds secrets, and its own secrets."""

import base64
import json
import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml


def write_private(path: Path, text: str) -> Path:
    """Write a file that only its owner can read, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    temporary.replace(path)
    return path


def kept_secrets(path: Path, names: Sequence[str]) -> dict[str, str]:
    """A random secret for each name, the same at every start."""
    known: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    if not set(names) <= set(known):
        known = {name: known.get(name) or secrets.token_hex(20) for name in names}
        write_private(path, json.dumps(known))
    return known


def kubeconfig(path: Path, servers: Mapping[str, str], user: str, token: str, ca: bytes) -> Path:
    """A kubeconfig with one context for each cluster, of its name."""
    trust = base64.b64encode(ca).decode()
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": next(iter(servers)),
        "clusters": [
            {"name": name, "cluster": {"server": url, "certificate-authority-data": trust}}
            for name, url in servers.items()
        ],
        "users": [{"name": user, "user": {"token": token}}],
        "contexts": [
            {"name": name, "context": {"cluster": name, "user": user}} for name in servers
        ],
    }
    return write_private_yaml(path, config)


def write_private_yaml(path: Path, data: Mapping[str, Any]) -> Path:
    """Write a YAML file that only its owner can read."""
    return write_private(path, yaml.safe_dump(dict(data), sort_keys=False))
