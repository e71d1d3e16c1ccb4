"""What a plan says of the registry that its image is pulled from, and of a cluster's version."""

import dataclasses
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from bot.sandbox.registry import Registry as RegistryServer
from bot.sandbox.registry_accounts import Accounts
from deploy.gateway import DEFAULT_REPOSITORY
from deploy.images import registry
from deploy.images.catalogue import Catalogue, address_of
from deploy.images.logins import Keyring, Login
from deploy.images.registry import Registry
from deploy.kube import cluster as cluster_module
from deploy.kube.cluster import Cluster, connect
from deploy.plans import planning
from deploy.plans.planning import Planner
from deploy.rules.finding import Finding
from deploy.specs.gateway_spec import GatewaySpec
from deploy.specs.options import Rollout
from tests.deploy.conftest import TIMEOUTS
from tests.support.gateway_bed import INSTANCES, SPEC
from tests.support.loops import running
from tests.support.running_cluster import RunningCluster

ABSENT = f"sha256:{'0' * 64}"


@pytest.fixture
def mirror() -> Iterator[RegistryServer]:
    accounts = Accounts({"ana": "secret-of-ana"})
    server = RegistryServer(repository="mirror/gw", tags=["2.11.1"], accounts=accounts)
    with running(server):
        yield server


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine may be slow, and where only answers count plans wait for them."""
    monkeypatch.setattr(planning, "_REGISTRY_SECONDS", 60.0)
    monkeypatch.setattr(registry, "_PATIENCE_SECONDS", 60.0)


def planner(cluster: Cluster, mirror: RegistryServer, login: Login | None) -> Planner:
    url, path = address_of(mirror.name)
    keyring = Keyring({} if login is None else {url.removeprefix("http://"): lambda: login})
    read = Registry(requests.Session(), base_url=url, repository=path, keyring=keyring)
    catalogue = Catalogue(read, DEFAULT_REPOSITORY, {mirror.name: read})
    return Planner(
        {"west": cluster}.__getitem__,
        lambda: ["2.11.1", "2.12.1"],
        instances=INSTANCES,
        repositories=(DEFAULT_REPOSITORY, mirror.name),
        stock=catalogue.stock,
    )


def of_images(planner: Planner, spec: GatewaySpec) -> dict[str, Finding]:
    plan = planner.plan(spec, "ABC234")
    assert plan.changes
    rules = ("unknown-tag", "unknown-digest", "digest-of-another", "image-unread")
    return {each.rule: each for each in plan.findings if each.rule in rules}


ANA = Login("ana", "secret-of-ana")


@pytest.mark.usefixtures("unhurried")
def test_a_plan_goes_by_what_the_mirror_has_that_its_pods_pull_from(
    cluster: Cluster, mirror: RegistryServer
) -> None:
    plans = planner(cluster, mirror, ANA)
    spec = dataclasses.replace(SPEC, repository=mirror.name, tag="2.11.1")
    digest = mirror.digest("2.11.1")
    assert of_images(plans, spec) == {}
    assert of_images(plans, dataclasses.replace(spec, digest=digest)) == {}
    assert set(of_images(plans, dataclasses.replace(spec, tag="2.12.1"))) == {"unknown-tag"}
    assert set(of_images(plans, dataclasses.replace(spec, digest=ABSENT))) == {"unknown-digest"}


@pytest.mark.usefixtures("unhurried")
def test_a_mirror_that_cannot_be_read_is_named_and_stops_no_plan(
    cluster: Cluster, mirror: RegistryServer
) -> None:
    spec = dataclasses.replace(SPEC, repository=mirror.name, tag="2.11.1")
    found = of_images(planner(cluster, mirror, None), spec)
    assert "has no credentials for it" in found["image-unread"].what
    found = of_images(planner(cluster, mirror, Login("ana", "another")), spec)
    assert "rejected the password of “ana”" in found["image-unread"].what


def test_no_plan_waits_for_a_mirror_that_is_slow(cluster: Cluster, mirror: RegistryServer) -> None:
    spec = dataclasses.replace(SPEC, repository=mirror.name, tag="2.11.1")
    mirror.faults.set("slow_ms", 600_000)
    found = of_images(planner(cluster, mirror, ANA), spec)
    assert "did not answer within 3 s" in found["image-unread"].what
    assert found["image-unread"].severity == "info"


def test_a_plan_asks_registries_on_no_thread_of_its_cluster(
    running: RunningCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_module, "_AT_ONCE", 2)
    monkeypatch.setattr(planning, "_REGISTRY_SECONDS", 0.1)
    answers = threading.Event()

    def silent(*asked: str) -> Any:
        answers.wait(300)

    client = connect("west", kubeconfig=running.kubeconfig(), context="west", timeouts=TIMEOUTS)
    plans = Planner({"west": client}.__getitem__, silent, instances=INSTANCES, stock=silent)
    pool = ThreadPoolExecutor(3)
    try:
        made = [pool.submit(plans.plan, SPEC, "ABC234") for _ in range(3)]
        assert all(each.result(120).changes for each in made)
    finally:
        answers.set()
        pool.shutdown()
        client.close()


def test_a_field_that_the_clusters_version_does_not_know_is_denied_by_name(tmp_path: Path) -> None:
    spec = dataclasses.replace(SPEC, rollout=Rollout(pre_stop=5))
    with RunningCluster(tmp_path, namespaces=("dev",), version="v1.29.4-gke.100") as running:
        client = connect("west", kubeconfig=running.kubeconfig(), context="west", timeouts=TIMEOUTS)
        try:
            plans = Planner({"west": client}.__getitem__, list, instances=INSTANCES)
            plan = plans.plan(spec, "ABC234")
            (found,) = [each for each in plan.findings if each.rule == "newer-field"]
            assert found.severity == "deny"
            assert (
                "Kubernetes 1.29 on this cluster does not support rollout.preStopSleepSeconds"
                in (found.what)
            )
            assert plan.denied
            assert not plan.digest
            assert plans.plan(SPEC, "ABC234").digest
        finally:
            client.close()
