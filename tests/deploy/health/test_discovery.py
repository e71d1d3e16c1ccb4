"""Every gateway is found: by its own object, whatever kind that is, and by its pods."""

from collections.abc import Collection
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.gateway import GatewayRef
from deploy.health.discovery import Discovered, Discovery, Key
from deploy.health.trimming import DEPLOYMENT, OTHERS, is_trimmed_away
from deploy.kube.objects import Manifest
from deploy.observed import inventory
from deploy.observed.workloads import just_made, workload_kind

IMAGE = "mcr.microsoft.com/azure-api-management/gateway:2.11.1"
MIRRORED = "registry.example.com/apim/gw:2.11.1"


def pod_spec(image: str = IMAGE, settings: str = "") -> Manifest:
    container: dict[str, Any] = {"name": "gateway", "image": image}
    if settings:
        container["envFrom"] = [{"configMapRef": {"name": settings}}]
    return {"containers": [container]}


def workload(name: str, spec: Manifest | None = None, **more: Any) -> Manifest:
    template = {"metadata": {"labels": {"app": name}}, "spec": spec or pod_spec()}
    return {
        "metadata": {"name": name, "namespace": "dev", "uid": f"u-{name}", "resourceVersion": "1"},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": name}},
            "template": template,
            **more,
        },
        "status": {},
    }


def pod(
    name: str,
    *owner: str,
    labels: dict[str, str] | None = None,
    spec: Manifest | None = None,
    phase: str = "Running",
) -> Manifest:
    owners = [{"kind": owner[0], "name": owner[1], "controller": True}] if owner else []
    return {
        "metadata": {
            "name": name,
            "namespace": "dev",
            "uid": f"u-{name}",
            "resourceVersion": "1",
            "labels": labels or {},
            "ownerReferences": owners,
        },
        "spec": spec or pod_spec(),
        "status": {"phase": phase},
    }


def found(
    *pods: Manifest, settings: Collection[tuple[str, str]] | None = (), **read: Any
) -> Discovery:
    discovery = Discovery("west")
    for kind, items in read.items():
        for item in items:
            discovery.workload(kind, key_of(item), item)
    for item in pods:
        discovery.pod(key_of(item), item)
    for key in settings or ():
        discovery.setting(key, there=True)
    discovery.know_settings(None, known=settings is not None)
    return discovery


def key_of(item: Manifest) -> Key:
    return item["metadata"]["namespace"], item["metadata"]["name"]


def shown(discovery: Discovery) -> dict[str, tuple[str, list[str]]]:
    return {
        each.ref.name: (
            workload_kind(each.workload),
            [item["metadata"]["name"] for item in each.pods],
        )
        for each in discovery.gateways()
    }


def other(kind: str, item: Manifest) -> Manifest:
    return OTHERS[kind].item(item)


@pytest.mark.parametrize("kind", ["StatefulSet", "DaemonSet"])
def test_pods_of_another_kind_are_that_gateways(kind: str) -> None:
    item = other(kind, workload("edge"))
    read: dict[str, Any] = {kind: [item]}
    assert shown(found(pod("edge-0", kind, "edge"), **read)) == {"edge": (kind, ["edge-0"])}


def test_a_workload_without_a_pod_is_shown_by_its_object() -> None:
    assert shown(found(StatefulSet=[other("StatefulSet", workload("edge"))])) == {
        "edge": ("StatefulSet", [])
    }


def test_pods_of_a_rollout_are_found_through_its_replica_sets() -> None:
    labels = {"rollouts-pod-template-hash": "7c9d"}
    running = pod("edge-7c9d-x", "ReplicaSet", "edge-7c9d", labels=labels)
    item = other("Rollout", workload("edge"))
    assert shown(found(running, Rollout=[item])) == {"edge": ("Rollout", ["edge-7c9d-x"])}
    assert shown(found(running)) == {"edge": ("Rollout", ["edge-7c9d-x"])}


def test_a_rollout_that_takes_its_template_from_a_deployment_is_one_gateway() -> None:
    reference = {"kind": "Deployment", "name": "edge-base"}
    item = workload("edge", workloadRef=reference)
    del item["spec"]["template"]
    base = workload("edge-base", replicas=0)
    discovery = found(Rollout=[other("Rollout", item)], Deployment=[base])
    assert shown(discovery) == {"edge": ("Rollout", [])}
    (only,) = discovery.gateways()
    assert only.workload["spec"]["template"] == base["spec"]["template"]
    foreign = found(Rollout=[other("Rollout", item)])
    assert shown(foreign) == {}


@pytest.mark.parametrize(
    ("owner", "name", "kind"),
    [
        ((), "alone", "Pod"),
        (("Job", "once"), "once", "Job"),
        (("CloneSet", "many"), "many", "CloneSet"),
        (("ReplicaSet", "left-5d4f"), "left-5d4f", "ReplicaSet"),
    ],
)
def test_pods_that_belong_to_nothing_that_is_read_are_shown_by_themselves(
    owner: tuple[str, ...], name: str, kind: str
) -> None:
    assert shown(found(pod("alone", *owner))) == {name: (kind, ["alone"])}
    assert shown(found(pod("alone", *owner, phase="Succeeded"))) == {}
    assert shown(found(pod("alone", *owner, spec=pod_spec("nginx")))) == {}


def test_pods_whose_deployment_was_deleted_alone_are_still_counted() -> None:
    labels = {"pod-template-hash": "5d4f"}
    left = pod("edge-5d4f-x", "ReplicaSet", "edge-5d4f", labels=labels)
    assert shown(found(left)) == {"edge": ("ReplicaSet", ["edge-5d4f-x"])}
    left["metadata"]["deletionTimestamp"] = "2026-11-29T12:00:00Z"
    assert shown(found(left)) == {}


def test_two_of_one_name_are_two_gateways_and_the_deployment_keeps_the_name() -> None:
    items: dict[str, Any] = {
        "Deployment": [workload("edge")],
        "StatefulSet": [other("StatefulSet", workload("edge"))],
    }
    assert shown(found(pod("edge-0", "StatefulSet", "edge"), **items)) == {
        "edge": ("Deployment", []),
        "edge.statefulset": ("StatefulSet", ["edge-0"]),
    }


@pytest.mark.parametrize(
    "name",
    ["contoso-production-europe-azure-api-management-gateway-x", "edge.eu.example", "e" * 253],
)
def test_a_name_that_this_bot_would_not_give_is_read(name: str) -> None:
    assert list(shown(found(Deployment=[workload(name)]))) == [name]


def test_what_only_a_config_map_shows_is_decided_by_it_and_named_where_it_cannot_be_read() -> None:
    mirrored = workload("gw", pod_spec(MIRRORED, "gw-env"))
    of_a_job = pod("job-x", "Job", "job", spec=pod_spec(MIRRORED, "gw-env"))
    assert shown(found(of_a_job, Deployment=[mirrored])) == {}
    known = found(of_a_job, settings={("dev", "gw-env")}, Deployment=[mirrored])
    assert list(shown(known)) == ["gw", "job"]
    unread = found(of_a_job, settings=None, Deployment=[mirrored, workload("edge")])
    assert list(shown(unread)) == ["edge"]
    assert unread.undecided() == (GatewayRef("west", "dev", "gw"), GatewayRef("west", "dev", "job"))


def test_a_mirrored_image_whose_settings_are_in_a_secret_is_known_by_its_probe() -> None:
    item = workload("gw", pod_spec(MIRRORED))
    (container,) = item["spec"]["template"]["spec"]["containers"]
    container["envFrom"] = [{"secretRef": {"name": "gw-settings"}}]
    read = DEPLOYMENT.item(item)
    assert shown(found(Deployment=[] if is_trimmed_away(read) else [read])) == {}
    container["livenessProbe"] = {"httpGet": {"path": "/status-0123456789abcdef", "port": 8080}}
    assert list(shown(found(Deployment=[DEPLOYMENT.item(item)]))) == ["gw"]


def test_the_replicas_of_a_daemon_set_are_those_its_nodes_need() -> None:
    item = workload("edge")
    del item["spec"]["replicas"]
    item["status"] = {"desiredNumberScheduled": 3, "numberReady": 2, "numberAvailable": 1}
    read = other("DaemonSet", item)
    assert read["spec"]["replicas"] == 3
    assert (read["status"]["readyReplicas"], read["status"]["availableReplicas"]) == (2, 1)


def test_only_what_was_just_made_and_never_changed_may_still_be_starting() -> None:
    item = workload("edge")
    item["metadata"] |= {"generation": 1, "creationTimestamp": "1970-01-01T00:16:40Z"}
    assert just_made(item, 1100.0)
    assert not just_made(item, 1700.0)
    item["metadata"]["generation"] = 2
    assert not just_made(item, 1100.0)


_OWNERS = st.sampled_from(
    [(), ("StatefulSet", "s"), ("DaemonSet", "d"), ("Job", "j"), ("ReplicaSet", "r-1"), ("X", "s")]
)
_READ = st.sets(st.sampled_from(["Deployment", "StatefulSet", "DaemonSet", "Rollout"]))


@given(st.lists(st.tuples(_OWNERS, st.booleans()), max_size=8), _READ)
def test_every_living_pod_of_a_gateway_is_counted_once_whatever_was_read(
    made: list[tuple[tuple[str, ...], bool]], read: set[str]
) -> None:
    labels = {"pod-template-hash": "1"}
    pods = [
        pod(f"p-{n}", *owner, labels=labels, phase="Running" if lives else "Failed")
        for n, (owner, lives) in enumerate(made)
    ]
    names = {"Deployment": "r", "StatefulSet": "s", "DaemonSet": "d", "Rollout": "r"}
    items: dict[str, Any] = {
        kind: [other(kind, workload(names[kind])) if kind in OTHERS else workload(names[kind])]
        for kind in read
    }
    discovery = found(*pods, **items)
    every: list[Discovered] = list(discovery.gateways())
    counted = sorted(item["metadata"]["name"] for each in every for item in each.pods)
    assert counted == [f"p-{n}" for n, (_, lives) in enumerate(made) if lives]
    assert len({each.ref for each in every}) == len(every)


_TEMPLATES = st.sampled_from([pod_spec(), pod_spec("nginx"), pod_spec(MIRRORED, "gw-env")])
_NAMES = st.sampled_from(["r", "s"])


@st.composite
def _changes(draw: st.DrawFn) -> tuple[str, Any]:
    """What a watch may tell: a workload, a pod, a ConfigMap, or that one of them is gone."""
    kind = draw(
        st.sampled_from(["Deployment", "StatefulSet", "Rollout", "Pod", "ConfigMap", "read"])
    )
    name, there = draw(_NAMES), draw(st.booleans())
    if kind in ("ConfigMap", "read"):
        return kind, there
    if not there:
        return kind, (("dev", name), None)
    if kind == "Pod":
        item = pod(
            name,
            *draw(_OWNERS),
            labels={"pod-template-hash": "1"},
            spec=draw(_TEMPLATES),
            phase=draw(st.sampled_from(["Running", "Failed"])),
        )
    else:
        item = workload(name, draw(_TEMPLATES), replicas=draw(st.integers(0, 1)))
        if kind == "Rollout" and draw(st.booleans()):
            item["spec"]["workloadRef"] = {"kind": "Deployment", "name": draw(_NAMES)}
        item = other(kind, item) if kind in OTHERS else item
    return kind, (key_of(item), None if is_trimmed_away(item) else item)


@given(st.lists(st.tuples(_changes(), st.booleans()), max_size=20))
def test_after_each_change_all_is_found_that_a_first_look_finds(
    changes: list[tuple[tuple[str, Any], bool]],
) -> None:
    told = Discovery("west")
    now: dict[str, dict[Key, Manifest]] = {}
    there = read = False
    for (kind, change), asked in changes:
        if kind == "ConfigMap":
            there = change
            told.setting(("dev", "gw-env"), there=change)
        elif kind == "read":
            read = change
            told.know_settings(None, known=change)
        else:
            key, item = change
            told.pod(key, item) if kind == "Pod" else told.workload(kind, key, item)
            now.setdefault(kind, {})[key] = item
            if item is None:
                del now[kind][key]
        if asked:
            told.gateways()
    every: dict[str, Any] = {kind: list(items.values()) for kind, items in now.items()}
    pods = every.pop("Pod", [])
    settings = [("dev", "gw-env")] if there else []
    afresh = found(*pods, settings=settings if read else None, **every)
    assert told.gateways() == afresh.gateways()
    assert told.undecided() == afresh.undecided()


def test_a_change_is_worked_out_for_what_it_touches_and_not_for_every_foreign_workload(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    foreign = [workload(f"shop-{n}", pod_spec("shop", "shop-env")) for n in range(500)]
    pods = [
        pod(f"shop-{n}-x", "StatefulSet", "shop", spec=pod_spec("shop", "e")) for n in range(500)
    ]
    discovery = found(*pods, Deployment=[workload("edge"), *foreign])
    assert list(shown(discovery)) == ["edge"]
    looked: list[str] = []
    real = inventory.is_gateway

    def noted(item: Manifest) -> bool:
        looked.append(item["metadata"]["name"])
        return real(item)

    monkeypatch.setattr(inventory, "is_gateway", noted)
    discovery.workload("Deployment", ("dev", "shop-3"), foreign[4])
    discovery.pod(("dev", "shop-7-x"), None)
    discovery.setting(("dev", "another-env"), there=True)
    assert list(shown(discovery)) == ["edge"]
    assert len(looked) <= 2
