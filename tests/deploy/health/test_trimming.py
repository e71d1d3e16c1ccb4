"""What is read of Deployments and pods is what a status is made of, however it came."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.errors import Unavailable
from deploy.health.trimming import DEPLOYMENT, OTHERS, POD, is_trimmed_away
from deploy.kube.shapes import Shape

_METADATA = {
    "name": "edge-1",
    "namespace": "dev",
    "uid": "u-1",
    "resourceVersion": "7",
    "labels": {"app": "edge-1"},
    "annotations": {"gateway-bot.io/x": "1", "example.com/y": "2"},
    "managedFields": [{"manager": "kubectl"}],
}
_CONTAINER = {
    "name": "gateway",
    "image": "mcr.microsoft.com/azure-api-management/gateway:2.11.1",
    "env": [
        {"name": "config.service.auth", "value": "GatewayKey edge&203001010000&c2ln"},
        {"name": "config.service.endpoint", "value": "x.configuration.azure-api.net"},
    ],
    "volumeMounts": [{"name": "a", "mountPath": "/a"}],
}
_POD: dict[str, Any] = {
    "metadata": _METADATA,
    "spec": {"nodeName": "n1", "containers": [_CONTAINER], "volumes": [{"name": "a"}]},
    "status": {
        "phase": "Running",
        "podIP": "10.0.0.1",
        "containerStatuses": [{"name": "gateway", "ready": True, "imageID": "x"}],
    },
}
_DEPLOYMENT: dict[str, Any] = {
    "metadata": _METADATA,
    "spec": {"replicas": 2, "template": {"metadata": {}, "spec": {"containers": [_CONTAINER]}}},
    "status": {"readyReplicas": 1},
}


def _listed(shape: Shape, item: object) -> Any:
    page = {"kind": "List", "metadata": {"resourceVersion": "9"}, "items": [item]}
    return shape.page([json.dumps(page).encode()])["items"][0]


@pytest.mark.parametrize(("shape", "item"), [(POD, _POD), (DEPLOYMENT, _DEPLOYMENT)])
def test_an_object_is_read_alike_from_a_list_and_from_a_watch(
    shape: Shape, item: dict[str, Any]
) -> None:
    assert _listed(shape, item) == shape.item(item)


def test_bookkeeping_and_the_text_of_a_token_are_not_kept() -> None:
    pod, deployment = _listed(POD, _POD), _listed(DEPLOYMENT, _DEPLOYMENT)
    for kept in (pod, deployment):
        text = json.dumps(kept)
        assert "GatewayKey" not in text
        assert "x.configuration.azure-api.net" in text
        assert not {"managedFields", "volumes", "podIP", "imageID", "volumeMounts"} & _keys(kept)
    assert deployment["metadata"]["annotations"] == {"gateway-bot.io/x": "1"}
    assert pod["status"]["containerStatuses"] == [{"name": "gateway", "ready": True}]


def test_an_object_with_empty_places_is_read() -> None:
    bare = {"metadata": _METADATA, "spec": {"containers": None}, "status": None}
    assert is_trimmed_away(_listed(POD, bare))
    empty = {**_DEPLOYMENT, "spec": {"template": {"metadata": None, "spec": None}}}
    assert is_trimmed_away(_listed(DEPLOYMENT, empty))


@pytest.mark.parametrize("answer", [b"", b"<html>", b"{}", b'{"metadata":{},"items":[{}]}', b"[1]"])
def test_an_answer_that_is_no_list_of_pods_is_told(answer: bytes) -> None:
    with pytest.raises(Unavailable, match="cannot be understood"):
        POD.page([answer])


_TEXT = '\\"}],[{}, é'
"""What may stand in a field, and looks like the beginning of something."""


def _sets(count: int, inner: int) -> list[dict[str, Any]]:
    """StatefulSets whose claims begin as they do themselves."""
    claims = [{"metadata": {"name": f"claim-{n}"}, "spec": {}} for n in range(inner)]
    return [
        {
            "metadata": {
                "name": f"edge-{n}",
                "namespace": "dev",
                "uid": f'{_TEXT}"items":[{{"metadata":{{"name":"',
                "resourceVersion": "1",
            },
            "spec": {"volumeClaimTemplates": claims, "template": {"spec": {}}},
        }
        for n in range(count)
    ]


@given(
    st.integers(0, 4),
    st.integers(0, 3),
    st.integers(1, 60),
    st.sampled_from([None, (",", ":")]),
    st.booleans(),
)
def test_a_list_is_read_alike_in_whatever_pieces_it_comes(
    count: int, inner: int, size: int, separators: tuple[str, str] | None, items_first: bool
) -> None:
    shape = OTHERS["StatefulSet"]
    metadata = {"resourceVersion": "9"}
    items = _sets(count, inner)
    page = {"metadata": metadata, "items": items}
    if items_first:
        page = {"items": items, "kind": "StatefulSetList", "metadata": metadata}
    text = json.dumps(page, separators=separators).encode()
    read = shape.page(text[n : n + size] for n in range(0, len(text), size))
    assert read == {"metadata": metadata, "items": [shape.item(item) for item in items]}


@pytest.mark.parametrize("form", [{"separators": (",", ":")}, {}, {"indent": 2}], ids=str)
def test_of_a_list_that_arrives_no_more_than_an_object_is_held(form: dict[str, Any]) -> None:
    read: list[str] = []

    def note(item: dict[str, Any]) -> dict[str, Any]:
        read.append(item["metadata"]["name"])
        return item

    shape = Shape(dict[str, Any], note)
    page = {"kind": "PodList", "metadata": {"resourceVersion": "9"}, "items": [_POD] * 6}
    text = json.dumps(page, **form).encode()

    def pieces() -> Iterator[bytes]:
        # Each ends within the next object, past its name.
        ends = [found.end() for found in re.finditer(b'"edge-1",', text)][1:]
        for number, (begin, end) in enumerate(zip([0, *ends], [*ends, None], strict=True)):
            yield text[begin:end]
            assert len(read) >= number

    assert len(shape.page(pieces())["items"]) == 6


def _keys(value: object) -> set[str]:
    if isinstance(value, dict):
        return set(value) | {key for inner in value.values() for key in _keys(inner)}
    if isinstance(value, list):
        return {key for inner in value for key in _keys(inner)}
    return set()
