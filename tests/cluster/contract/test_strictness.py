"""What an API server refuses of what the product writes, and what it takes, word for word.

Each variation of `tests/data/refusals.json` was recorded from a real API server; it and the
sandbox's must say the same. Almost all are dry runs: hundreds take seconds.
"""

import itertools
import secrets
from collections.abc import Iterator

import pytest

from tests.cluster.conftest import Target
from tests.support.kube_api import Obj
from tests.support.variations import RECORDED_VERSION, Variation, recorded, verdict, written

_BY_KIND = {
    kind: list(found) for kind, found in itertools.groupby(recorded(), lambda each: each.kind)
}


@pytest.fixture(scope="module")
def space(target: Target) -> Iterator[str]:
    """One namespace for all of them: dry runs leave nothing in it."""
    name = f"strict-{secrets.token_hex(4)}"
    target.api.create("/api/v1/namespaces", {"metadata": {"name": name}})
    yield name
    target.api.request("DELETE", f"/api/v1/namespaces/{name}")


@pytest.fixture(scope="module")
def objects(space: str) -> dict[str, Obj]:
    """By kind, an object as the product writes it."""
    found = written(space)
    # No pods are wanted where a Deployment is made to be changed.
    found["Deployment"]["spec"]["replicas"] = 0
    return found


@pytest.mark.parametrize("kind", sorted(_BY_KIND))
def test_what_is_wrong_is_refused_in_the_real_servers_words_and_all_else_is_taken(
    target: Target, space: str, objects: dict[str, Obj], kind: str
) -> None:
    version = target.api.get("/version")["gitVersion"]
    if target.sandbox is None and not version.startswith(RECORDED_VERSION):
        pytest.skip(f"the words were recorded from {RECORDED_VERSION}, this is {version}")
    different = {}
    for variation in (Variation(kind), *_BY_KIND[kind]):
        answer = verdict(target.api, space, objects, variation)
        if answer != variation.said:
            different[str(variation)] = {"said": answer, "recorded": variation.said}
    assert different == {}
