"""requirements.lock, from which the image is made, is whole for each Python that the bot runs on."""

import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.processes import ROOT

DEPENDENCIES = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
_LINE = re.compile(r"^([a-z][^ \\]*==[^ \\]+(?: ; [^\\]+)?)", re.MULTILINE)
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
LOCKED = [Requirement(line) for line in _LINE.findall(LOCK)]


def environment(python: str) -> dict[str, str]:
    return {
        "python_version": ".".join(python.split(".")[:2]),
        "python_full_version": python,
        "sys_platform": "linux",
        "platform_system": "Linux",
        "platform_python_implementation": "CPython",
        "implementation_name": "cpython",
    }


def needed(python: str) -> set[str]:
    """The names of everything that is needed there, as the packages that are installed here say."""
    found: set[tuple[str, str]] = set()
    queue = [Requirement(each) for each in DEPENDENCIES]
    while queue:
        for name, extra in wanted(queue.pop()):
            if (name, extra) in found:
                continue
            found.add((name, extra))
            try:
                more = [Requirement(each) for each in requires(name) or ()]
            except PackageNotFoundError:
                continue
            here = {**environment(python), "extra": extra}
            queue += [each for each in more if each.marker is None or each.marker.evaluate(here)]
    return {name for name, _ in found}


def wanted(requirement: Requirement) -> Iterator[tuple[str, str]]:
    for extra in ("", *requirement.extras):
        yield canonicalize_name(requirement.name), extra


@pytest.mark.parametrize("python", ["3.11.0", "3.11.7", "3.12.0", "3.13.0"])
def test_the_lock_has_all_that_is_needed_on_each_python(python: str) -> None:
    here = environment(python)
    locked = {
        canonicalize_name(each.name)
        for each in LOCKED
        if each.marker is None or each.marker.evaluate(here)
    }
    assert "redis" in needed(python)
    assert needed(python) <= locked


def test_each_of_them_is_installed_by_hash() -> None:
    assert LOCKED
    for part in re.split(r"^(?=[a-z])", LOCK, flags=re.MULTILINE)[1:]:
        assert "--hash=sha256:" in part
