"""Pod logs through the API server, and the pod proxy."""

import re
from typing import Any

import pytest

from tests.cluster.conftest import GATEWAY, Target
from tests.support.kube_api import Answer, Obj
from tests.support.node_bed import gateway_container
from tests.support.tiny_configuration import TOKEN
from tests.support.waiting import until

pytestmark = pytest.mark.usefixtures("needs_controllers")


class Pod:
    """A pod `p` of a namespace."""

    def __init__(self, target: Target, ns: str) -> None:
        self.target = target
        self.pods = f"/api/v1/namespaces/{ns}/pods"
        self.ns = ns

    def run(self, *containers: Obj, phase: str = "Running", **spec: Any) -> None:
        """Create it on one of our nodes and wait for its phase."""
        body = {
            "metadata": {"name": "p"},
            "spec": {"containers": list(containers), **self.target.placed, **spec},
        }
        self.target.api.create(self.pods, body)
        until(lambda: self.get()["status"]["phase"] == phase, f"the phase {phase}")

    def get(self) -> Obj:
        """The object."""
        return self.target.api.get(f"{self.pods}/p")

    def log(self, query: str = "") -> Answer:
        """GET its log."""
        return self.target.api.request("GET", f"{self.pods}/p/log?{query}")

    def message(self, query: str = "") -> str:
        """Why there is no log."""
        answer = self.log(query)
        return "" if answer.status == 200 else answer.message

    def run_gateway(self) -> None:
        """Run a gateway, which writes several lines."""
        data = {"metadata": {"name": "edge-1-token"}, "stringData": {"value": TOKEN}}
        self.target.api.create(f"/api/v1/namespaces/{self.ns}/secrets", data)
        self.run(gateway_container())
        until(lambda: "ConfigurationLoaded" in str(self.log().body), "a loaded configuration")


@pytest.fixture
def pod(target: Target, ns: str) -> Pod:
    """The pod, not created yet."""
    return Pod(target, ns)


def _app(name: str = "main", image: str = "example.com/app:1.0") -> Obj:
    return {"name": name, "image": image}


def test_the_last_lines_are_the_last_of_all(pod: Pod) -> None:
    pod.run_gateway()
    lines = str(pod.log().body).splitlines()
    assert len(lines) > 2
    tail = pod.log("tailLines=2")
    assert tail.headers["Content-Type"].startswith("text/plain")
    everything = str(pod.log().body)
    assert len(str(tail.body).splitlines()) == 2
    assert str(tail.body) in everything
    assert pod.log("tailLines=0").body == ""


def test_timestamps_stand_before_each_line(pod: Pod) -> None:
    pod.run_gateway()
    for line in str(pod.log("timestamps=true").body).splitlines():
        assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z ", line), line


def test_a_time_since_which_leaves_out_what_is_older(pod: Pod) -> None:
    pod.run_gateway()
    assert "ConfigurationLoaded" in str(pod.log("sinceSeconds=600").body)
    assert "ConfigurationLoaded" in str(pod.log("sinceTime=2020-01-01T00:00:00Z").body)
    assert pod.log("sinceTime=2099-01-01T00:00:00Z").body == ""


def test_a_limit_of_bytes_cuts_the_log(pod: Pod) -> None:
    pod.run_gateway()
    assert len(str(pod.log("limitBytes=10").body)) == 10


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("tailLines=-1", "tailLines"),
        ("limitBytes=0", "limitBytes"),
        ("sinceSeconds=0", "sinceSeconds"),
        ("sinceSeconds=1&sinceTime=2020-01-01T00:00:00Z", "[]"),
    ],
)
def test_options_that_make_no_sense_are_refused(pod: Pod, query: str, field: str) -> None:
    pod.run(_app())
    answer = pod.log(query)
    assert (answer.status, answer.reason) == (422, "Invalid"), answer.body
    assert field in [cause[1] for cause in answer.causes]


def test_a_followed_log_goes_on_until_the_pod_ends(pod: Pod) -> None:
    pod.run(_app(), terminationGracePeriodSeconds=1)
    stream = pod.target.api.stream(f"{pod.pods}/p/log?follow=true")
    chunks = stream.stream(None)
    assert b"example.com/app:1.0 started" in next(chunks)
    pod.target.api.delete(f"{pod.pods}/p")
    assert list(chunks) == []


def test_a_container_that_waits_for_its_image_has_no_log(pod: Pod) -> None:
    pod.run(_app(image=f"{GATEWAY}:no-such-tag"), phase="Pending")
    expected = 'container "main" in pod "p" is waiting to start: {}'
    reasons = [expected.format(r) for r in ("ImagePullBackOff", "trying and failing to pull image")]
    until(lambda: pod.message() in reasons, "the reason")
    assert pod.log().status == 400


def test_a_log_of_before_the_last_restart_needs_a_restart(pod: Pod) -> None:
    pod.run(_app())
    assert pod.log("previous=true").status == 400
    assert pod.message("previous=true") == (
        'previous terminated container "main" in pod "p" not found'
    )


def test_a_pod_of_several_containers_wants_one_named(pod: Pod) -> None:
    pod.run(_app("one"), _app("two"))
    assert pod.message() == (
        "a container name must be specified for pod p, choose one of: [one two]"
    )
    until(lambda: "started" in str(pod.log("container=two").body), "the second one's start")
    answer = pod.log("container=three")
    assert (answer.status, answer.message) == (400, "container three is not valid for pod p")


def test_a_pod_that_is_not_there_has_no_log(pod: Pod) -> None:
    answer = pod.log()
    assert (answer.status, answer.message) == (404, 'pods "p" not found')


@pytest.mark.parametrize("query", ["tailLines=x", "sinceTime=x"])
def test_options_that_cannot_be_read_are_a_bad_request(pod: Pod, query: str) -> None:
    pod.run(_app())
    answer = pod.log(query)
    assert (answer.status, answer.reason) == (400, "BadRequest")


def test_a_pod_without_a_node_has_no_log(pod: Pod) -> None:
    body = {
        "metadata": {"name": "p"},
        "spec": {"containers": [_app()], "nodeSelector": {"no-such": "node"}},
    }
    pod.target.api.create(pod.pods, body)
    answer = pod.log()
    assert (answer.status, answer.body) == (204, "")


def test_the_proxy_reaches_the_gateways_status_path(pod: Pod) -> None:
    pod.run_gateway()
    path = f"{pod.pods}/p:8080/proxy/status-0123456789abcdef"
    assert pod.target.api.request("GET", path).status == 200
    assert pod.target.api.request("GET", f"{pod.pods}/http:p:8080/proxy/none").status == 404


def test_the_proxy_says_when_nothing_answers_at_a_port(pod: Pod) -> None:
    pod.run_gateway()
    answer = pod.target.api.request("GET", f"{pod.pods}/p:1/proxy/")
    assert (answer.status, answer.reason) == (503, "ServiceUnavailable")
    assert answer.message.startswith("error trying to reach service: dial tcp ")
