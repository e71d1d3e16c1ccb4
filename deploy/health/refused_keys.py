"""The keys whose tokens Azure refuses, in the Redis that all bots share.

A bot that starts after the first gateway was renewed must still know that the others of the same
key are not. While Redis is away each bot goes by what it knew.
"""

import json
import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Protocol

from deploy.actions.codec import Unreadable
from deploy.actions.connection import redis_errors
from deploy.actions.versions import LeftAlone, check, reading
from deploy.errors import GatewayBotError
from deploy.health.refusals import RefusedKey
from deploy.tokens.token import key_type

log = logging.getLogger(__name__)

VERSION = 1
KEPT_SECONDS = 31 * 86_400.0
"""Longer than any token lives: by then every token of that key has expired."""
_READ_SECONDS = 5.0


class RefusedKeys(Protocol):
    """What remembers them, by name."""

    def known(self) -> Mapping[str, RefusedKey]:
        """Those that are not disproved."""

    def note(self, key: RefusedKey) -> None:
        """Remember one; what is known by its name already stays."""

    def narrow(self, key: RefusedKey) -> None:
        """Keep this instead of what is known by its name."""

    def forget(self, name: str) -> None:
        """Azure accepts it."""


class OwnRefusedKeys:
    """Remembered by this bot alone. Safe to use from many threads."""

    def __init__(self) -> None:
        self._keys: dict[str, RefusedKey] = {}

    def known(self) -> Mapping[str, RefusedKey]:
        """Those that are not disproved."""
        return dict(self._keys)

    def note(self, key: RefusedKey) -> None:
        """Remember one."""
        self._keys.setdefault(key.name, key)

    def narrow(self, key: RefusedKey) -> None:
        """Keep this instead of what is known by its name."""
        self._keys[key.name] = key

    def forget(self, name: str) -> None:
        """Azure accepts it."""
        self._keys.pop(name, None)


class SharedRefusedKeys:
    """Remembered by all bots. Raises nothing; safe to use from many threads."""

    def __init__(self, client: Any, *, prefix: str = "gateway-bot") -> None:
        self._client = client
        self._key = f"{prefix}:{{refused-keys}}"
        self._left_alone = LeftAlone(log)
        # Held for no longer than a moment: Redis is asked without it.
        self._lock = threading.Lock()
        self._keys: dict[str, RefusedKey] = {}
        self._changes = 0
        self._read_at = float("-inf")

    def known(self) -> Mapping[str, RefusedKey]:
        """Those that are not disproved, as of a few seconds ago."""
        with self._lock:
            due = time.monotonic() - self._read_at >= _READ_SECONDS
            if due:
                self._read_at = time.monotonic()
            changes = self._changes
        if due:
            try:
                found = self._read()
            except GatewayBotError as error:
                log.info("which keys Azure refuses cannot be read: %s", error)
            else:
                self._replace(found, changes)
        with self._lock:
            return dict(self._keys)

    def _replace(self, found: dict[str, RefusedKey], changes: int) -> None:
        with self._lock:
            if changes == self._changes:
                self._keys = found
            else:
                # It may be older than what was noted meanwhile.
                self._read_at = float("-inf")

    def note(self, key: RefusedKey) -> None:
        """Remember one; what is known by its name already stays."""
        with self._lock:
            if key.name in self._keys:
                return
            self._keys[key.name] = key
            self._changes += 1
        try:
            self._write(key)
        except GatewayBotError as error:
            log.info("the record that Azure refuses key %s cannot be stored: %s", key.name, error)

    def narrow(self, key: RefusedKey) -> None:
        """Keep this instead of what is known by its name."""
        with self._lock:
            self._keys[key.name] = key
            self._changes += 1
        try:
            self._overwrite(key)
        except GatewayBotError as error:
            log.info("what Azure accepts of key %s cannot be kept: %s", key.name, error)

    def forget(self, name: str) -> None:
        """Azure accepts it."""
        with self._lock:
            self._keys.pop(name, None)
            self._changes += 1
        try:
            self._delete([name])
        except GatewayBotError as error:
            log.info("that Azure accepts key %s cannot be kept: %s", name, error)

    @redis_errors
    def _read(self) -> dict[str, RefusedKey]:
        found, old = {}, []
        for name, text in self._client.hgetall(self._key).items():
            try:
                key = _key(str(name), str(text))
            except Unreadable as record:
                self._left_alone.report(record)
                continue
            if time.time() - key.since > KEPT_SECONDS:
                old.append(str(name))
            else:
                found[str(name)] = key
        if old:
            self._delete(old)
        return found

    @redis_errors
    def _write(self, key: RefusedKey) -> None:
        self._client.hsetnx(self._key, key.name, _text(key))

    @redis_errors
    def _overwrite(self, key: RefusedKey) -> None:
        kept = self._client.hget(self._key, key.name)
        try:
            if kept is not None:
                _key(key.name, str(kept))
        except Unreadable as record:
            self._left_alone.report(record)
            return
        self._client.hset(self._key, key.name, _text(key))

    @redis_errors
    def _delete(self, names: list[str]) -> None:
        self._client.hdel(self._key, *names)


def _text(key: RefusedKey) -> str:
    return json.dumps({"version": VERSION, **asdict(key)})


def _key(name: str, text: str) -> RefusedKey:
    what = f"The record of refused key {name}"
    with reading(what):
        kept = json.loads(text)
        check(what, kept.get("version"), VERSION)
        return RefusedKey(
            str(kept["gateway"]),
            str(kept["instance"]),
            key_type(str(kept["key"] or "")),
            str(kept["secret"]),
            str(kept["by"]),
            float(kept["since"]),
            # None in what was written before others' tokens of the key were looked at.
            None if kept.get("accepted_from") is None else float(kept["accepted_from"]),
        )
