"""A pod as kubectl words it: whichever containers stand beside the gateway's, and when it is over."""

from typing import Any

import pytest

from deploy.observed.pods import crashes, is_over, pod_progress, restarts_of
from deploy.observed.progress import progress_of
from deploy.observed.selecting import chosen_by

Manifest = dict[str, Any]
GATEWAY = "mcr.microsoft.com/azure-api-management/gateway:2.12.1"
RUNNING = {"running": {"startedAt": "2026-11-29T10:00:00Z"}}
BACK_OFF = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s"}}
INITIALIZING = {"waiting": {"reason": "PodInitializing"}}
DONE = {"terminated": {"exitCode": 0, "reason": "Completed"}}
BROKEN = {"terminated": {"exitCode": 7, "reason": "Error"}}


def status(name: str, state: Manifest, restarts: int = 0, **more: Any) -> Manifest:
    return {"name": name, "state": state, "restartCount": restarts, **more}


def pod(
    *containers: Manifest, init: tuple[Manifest, ...] = (), phase: str = "Running", **more: Any
) -> Manifest:
    """Its gateway stands second, as where a sidecar was injected."""
    images = [{"name": "istio-proxy", "image": "istio/proxyv2"}, {"name": "gw", "image": GATEWAY}]
    done = "False" if init else "True"
    return {
        "metadata": {"name": "edge-1-x", "ownerReferences": [{"uid": "rs"}]},
        "spec": {"containers": images},
        "status": {
            "phase": phase,
            "containerStatuses": list(containers),
            "initContainerStatuses": list(init),
            "conditions": [{"type": "Initialized", "status": done}],
            **more,
        },
    }


@pytest.mark.parametrize(
    ("init", "state", "trouble", "container"),
    [
        ((status("istio-init", BACK_OFF, 4),), "Init:CrashLoopBackOff", "istio-init", "istio-init"),
        (
            (status("istio-init", BROKEN),),
            "Init:Error",
            "istio-init: Error: exit code 7",
            "istio-init",
        ),
        ((status("istio-init", DONE), status("vault-agent", RUNNING)), "Init:1/2", "", "gw"),
        (
            (status("sidecar", RUNNING, started=True), status("vault-agent", BACK_OFF)),
            "Init:CrashLoopBackOff",
            "Init container vault-agent: CrashLoopBackOff",
            "vault-agent",
        ),
    ],
)
def test_an_init_container_is_shown_as_kubectl_shows_it(
    init: tuple[Manifest, ...], state: str, trouble: str, container: str
) -> None:
    seen = pod_progress(pod(status("gw", INITIALIZING), init=init, phase="Pending"))
    assert (seen.state, seen.container) == (state, container)
    assert trouble in seen.trouble
    assert bool(seen.trouble) is bool(trouble)
    assert crashes(pod(init=init)) is ("CrashLoop" in state)


def test_restarts_start_and_last_exit_are_the_gateways_own() -> None:
    proxy = status("istio-proxy", {"running": {"startedAt": "2026-11-01T10:00:00Z"}}, 9)
    gateway = status("gw", RUNNING, 2, lastState={"terminated": {"exitCode": 134}})
    seen = pod_progress(pod(proxy, gateway))
    assert (seen.restarts, seen.last_exit, seen.container) == (2, "exit code 134", "gw")
    assert seen.started_at == pytest.approx(1795946400.0)
    assert restarts_of(pod(proxy, gateway)) == 2


def test_trouble_of_the_gateway_goes_before_that_of_a_container_beside_it() -> None:
    both = pod_progress(pod(status("istio-proxy", BACK_OFF), status("gw", BROKEN)))
    assert both.trouble.startswith("Error: exit code 7")
    beside = pod_progress(pod(status("istio-proxy", BACK_OFF), status("gw", RUNNING)))
    assert beside.trouble.startswith("Container istio-proxy: CrashLoopBackOff")
    assert beside.container == "istio-proxy"


@pytest.mark.parametrize("phase", ["Failed", "Succeeded"])
def test_a_pod_that_was_evicted_weeks_ago_spoils_no_rollout(phase: str) -> None:
    evicted = pod(phase=phase, reason="Evicted", message="The node was low on memory.")
    assert is_over(evicted)
    deployment = {
        "metadata": {"uid": "d", "generation": 1},
        "spec": {"replicas": 1},
        "status": {"observedGeneration": 1},
    }
    replica_set = {"metadata": {"uid": "rs", "ownerReferences": [{"uid": "d"}]}, "spec": {}}
    living = pod(status("gw", RUNNING))
    living["metadata"]["name"] = "edge-1-y"
    progress = progress_of(deployment, [replica_set], [evicted, living])
    assert [each.name for each in progress.pods] == ["edge-1-y"]
    assert progress.trouble == ()
    # Where every pod of the wanted version has ended, the newest says why.
    alone = progress_of(deployment, [replica_set], [evicted])
    assert alone.trouble == ("Evicted: The node was low on memory.",) or phase == "Succeeded"
    assert [each.state for each in alone.pods] == ["Evicted"]


@pytest.mark.parametrize(
    ("selector", "text"),
    [
        ({"matchLabels": {"b": "2", "a": "1"}}, "a=1,b=2"),
        (
            {
                "matchLabels": {"app": "edge"},
                "matchExpressions": [
                    {"key": "tier", "operator": "In", "values": ["b", "a"]},
                    {"key": "old", "operator": "DoesNotExist"},
                    {"key": "zone", "operator": "Exists"},
                    {"key": "env", "operator": "NotIn", "values": ["test"]},
                ],
            },
            "app=edge,tier in (a,b),!old,zone,env notin (test)",
        ),
        ({}, ""),
    ],
)
def test_pods_are_chosen_by_the_whole_selector(selector: Manifest, text: str) -> None:
    assert chosen_by({"spec": {"selector": selector}}) == text
