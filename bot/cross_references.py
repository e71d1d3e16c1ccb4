"""Where one part of the settings names another one. Pure.

It reads the file's data, not the checked settings: a mistake in one part hides none in another.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from bot.problems import Problem
from bot.settings_file import Path, SettingsFile, names_of
from bot.settings_mistakes import nearest
from deploy.access import UNLISTED
from deploy.clouds import CLOUDS, PUBLIC, clouds_of


def cross_references(file: SettingsFile) -> Iterator[Problem]:
    """Names that are used twice or exist nowhere, and people with two names."""
    for section in ("apim", "clusters", "environments"):
        yield from _twice(file, section)
    for index, name in names_of(file.data, "environments"):
        if name == UNLISTED.name:
            yield file.problem(
                ("environments", index, "name"),
                f"{name} is reserved for gateways in no environment.",
                "Choose another name.",
            )
    yield from _clusters(file)
    yield from _governing(file)
    yield from _people(file)
    yield from _clouds(file)


def _twice(file: SettingsFile, section: str) -> Iterator[Problem]:
    first: dict[str, int] = {}
    for index, name in names_of(file.data, section):
        if name in first:
            line = file.line((section, first[name], "name"))
            yield file.problem(
                (section, index, "name"),
                f"the name {name} is used twice in {section}, first in line {line}.",
                "Rename one of them.",
            )
        first.setdefault(name, index)


def _clusters(file: SettingsFile) -> Iterator[Problem]:
    """Patterns may match nothing yet; a name is meant to exist."""
    known = [name for _, name in names_of(file.data, "clusters")]
    for path, name in _texts(file.data, "environments", "clusters"):
        if known and name not in known and not set(name) & set("*?["):
            yield file.problem(path, f"there is no cluster “{name[:80]}”.", nearest(name, known))


def _governing(file: SettingsFile) -> Iterator[Problem]:
    known = [name for _, name in names_of(file.data, "environments")]
    for index, item in _items(file.data.get("apim")):
        for path, name in _texts(item, "gateways", "governed_by"):
            if known and name not in known:
                yield file.problem(
                    ("apim", index, *path),
                    f"there is no environment “{name[:80]}”.",
                    nearest(name, known),
                )


def _people(file: SettingsFile) -> Iterator[Problem]:
    people = file.data.get("people")
    first: dict[str, str] = {}
    for name, ids in people.items() if isinstance(people, Mapping) else ():
        for index, user in enumerate(ids if isinstance(ids, list) else ()):
            if isinstance(user, str) and user in first:
                yield file.problem(
                    ("people", name, index),
                    f"{user} is assigned to two people, {first[user]} and {name}.",
                    "Remove one of them.",
                )
            elif isinstance(user, str):
                first[user] = name


def _clouds(file: SettingsFile) -> Iterator[Problem]:
    """Addresses of another cloud than Azure is asked in. Behind a Resource Manager of one's own they
    may be of any."""
    section = file.data.get("azure")
    azure = section if isinstance(section, Mapping) else {}
    own = [str(azure.get(name) or "") for name in ("arm_endpoint", "authority")]
    named = CLOUDS.get(str(azure.get("cloud")))
    home = named or next(iter(clouds_of(own)), PUBLIC)
    addresses: list[tuple[Path, Any]] = [
        (("azure", name), azure.get(name)) for name in ("authority", "arm_endpoint")
    ]
    if named is not None or clouds_of((own[0] or PUBLIC.arm, own[1])):
        for index, item in _items(file.data.get("apim")):
            field = "configuration_endpoint"
            addresses.append((("apim", index, field), item.get(field)))
        addresses += _texts(file.data, "apim", "endpoints")
    for path, address in addresses:
        for cloud in clouds_of((address,)) if isinstance(address, str) else ():
            if cloud is not home:
                yield file.problem(
                    path,
                    f"{address} is in {cloud.title}, azure.cloud is {home.name}.",
                    f"Either set azure.cloud: {cloud.name}, or give the address of {home.title}.",
                )


def _items(value: Any) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for index, item in enumerate(value if isinstance(value, list) else ()):
        if isinstance(item, Mapping):
            yield index, item


def _texts(data: Mapping[str, Any], section: str, name: str) -> Iterator[tuple[Path, str]]:
    """Each text in the list `name` of each item of a section."""
    for index, item in _items(data.get(section)):
        texts = item.get(name)
        for at, text in enumerate(texts if isinstance(texts, list) else ()):
            if isinstance(text, str):
                yield (section, index, name, at), text
