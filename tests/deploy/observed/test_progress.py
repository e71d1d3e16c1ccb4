"""How far a rollout is, held against what a real control plane did."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.observed.pods import pod_progress, token_secret_of
from deploy.observed.progress import Progress, progress_of, progress_to_mapping

Manifest = dict[str, Any]
RECORDED = Path(__file__).parents[2] / "data" / "kubernetes-1.36" / "events.jsonl"


def replay() -> list[tuple[Progress, Manifest]]:
    """The progress after every recorded change, with the Deployment it was told of."""
    live: dict[str, dict[str, Manifest]] = {"Deployment": {}, "ReplicaSet": {}, "Pod": {}}
    found = []
    for line in RECORDED.read_text().splitlines():
        event = json.loads(line)
        item, kind = event.get("object"), event.get("kind")
        if (
            item is None
            or kind not in live
            or event["type"] not in ("ADDED", "MODIFIED", "DELETED")
        ):
            continue
        if event["type"] == "DELETED":
            live[kind].pop(item["metadata"]["name"], None)
        else:
            live[kind][item["metadata"]["name"]] = item
        for deployment in live["Deployment"].values():
            progress = progress_of(deployment, live["ReplicaSet"].values(), live["Pod"].values())
            found.append((progress, deployment))
    return found


def test_a_recorded_history_completes_and_gets_stuck_where_it_did() -> None:
    states = replay()
    assert any(progress.complete for progress, _ in states)
    assert any("ImagePullBackOff" in " ".join(progress.trouble) for progress, _ in states)
    assert any(progress.serving for progress, _ in states)


def test_complete_is_never_said_of_a_generation_that_was_not_seen_yet() -> None:
    for progress, deployment in replay():
        if deployment["metadata"]["generation"] > deployment["status"].get("observedGeneration", 0):
            assert not progress.complete
            assert not progress.failed


def test_when_complete_all_wanted_pods_are_ready_and_none_is_old() -> None:
    for progress, _ in replay():
        if progress.complete:
            assert progress.ready >= progress.desired
            assert progress.old == 0
            assert progress.trouble == ()


def test_progress_is_json() -> None:
    for progress, _ in replay()[::20]:
        assert json.loads(json.dumps(progress_to_mapping(progress)))["desired"] == progress.desired


COUNTS = st.integers(0, 5)


@given(COUNTS, COUNTS, COUNTS, COUNTS, st.integers(1, 3), st.integers(0, 3), st.booleans())
def test_complete_is_what_the_controller_calls_complete(
    desired: int,
    updated: int,
    total: int,
    available: int,
    generation: int,
    observed: int,
    late: bool,
) -> None:
    reason = "ProgressDeadlineExceeded" if late else "ReplicaSetUpdated"
    deployment = {
        "metadata": {"name": "gw", "uid": "1", "generation": generation},
        "spec": {"replicas": desired},
        "status": {
            "observedGeneration": observed,
            "updatedReplicas": updated,
            "replicas": total,
            "availableReplicas": available,
            "conditions": [{"type": "Progressing", "status": "True", "reason": reason}],
        },
    }
    progress = progress_of(deployment, (), ())
    seen = generation <= observed
    assert progress.failed == (seen and late)
    assert progress.complete == (seen and not late and updated == total == available == desired)


def test_a_scale_down_is_not_complete_before_the_pods_are_gone() -> None:
    status = {"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}
    deployment = {
        "metadata": {"name": "gw", "uid": "1", "generation": 2},
        "spec": {"replicas": 1},
        "status": status,
    }
    assert not progress_of(deployment, (), ()).complete
    assert progress_of({**deployment, "status": {**status, "replicas": 1, "updatedReplicas": 1,
                                                 "availableReplicas": 1}}, (), ()).complete  # fmt: skip


def pod(phase: str = "Pending", *statuses: Manifest, **metadata: Any) -> Manifest:
    return {
        "metadata": {"name": "p", **metadata},
        "status": {"phase": phase, "containerStatuses": list(statuses)},
    }


@pytest.mark.parametrize(
    ("item", "state", "trouble"),
    [
        (pod(), "Pending", ""),
        (
            pod("Pending", {"state": {"waiting": {"reason": "ContainerCreating"}}}),
            "ContainerCreating",
            "",
        ),
        (
            pod("Pending", {"state": {"waiting": {"reason": "ErrImagePull", "message": "no"}}}),
            "ErrImagePull",
            "ErrImagePull: no.",
        ),
        (
            pod(
                "Running",
                {
                    "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                    "lastState": {"terminated": {"exitCode": 134, "reason": "Error"}},
                },
            ),
            "CrashLoopBackOff",
            "CrashLoopBackOff. The previous run ended with exit code 134 (Error).",
        ),
        (
            pod("Running", {"state": {"terminated": {"exitCode": 1}}}),
            "ExitCode:1",
            "Error: exit code 1.",
        ),
        (pod("Running", deletionTimestamp="2026-01-01T00:00:00Z"), "Terminating", ""),
        (
            {
                "metadata": {"name": "p"},
                "status": {
                    "phase": "Pending",
                    "conditions": [
                        {
                            "type": "PodScheduled",
                            "status": "False",
                            "reason": "Unschedulable",
                            "message": "0/2 nodes are available",
                        }
                    ],
                },
            },
            "Pending",
            "Unschedulable: 0/2 nodes are available.",
        ),
    ],
)
def test_a_pod_is_worded_as_kubectl_words_it(item: Manifest, state: str, trouble: str) -> None:
    seen = pod_progress(item)
    assert (seen.state, seen.trouble) == (state, trouble)


@pytest.mark.parametrize(
    ("container", "secret"),
    [
        (
            {
                "env": [
                    {
                        "name": "config.service.auth",
                        "valueFrom": {"secretKeyRef": {"name": "t", "key": "value"}},
                    }
                ]
            },
            ("t", "value"),
        ),
        (
            {"envFrom": [{"secretRef": {"name": "apim-access-token"}}]},
            ("apim-access-token", "config.service.auth.key"),
        ),
        ({"env": [{"name": "config.service.auth", "value": "workloadIdentity"}]}, None),
        ({}, None),
    ],
)
def test_the_tokens_secret_is_found_in_each_layout(
    container: Manifest, secret: tuple[str, str] | None
) -> None:
    assert token_secret_of({"containers": [container]}) == secret


_NAMED = {
    "name": "config.service.auth",
    "valueFrom": {"secretKeyRef": {"name": "another", "key": "value"}},
}


@pytest.mark.parametrize(
    ("own", "secret"),
    [
        ({"envFrom": [{"secretRef": {"name": "whole"}}]}, ("whole", "config.service.auth.key")),
        ({"envFrom": [{"configMapRef": {"name": "gw-env"}}]}, None),
        ({"env": [{"name": "config.service.auth", "value": "workloadIdentity"}]}, None),
        ({"env": [{"name": "config.service.auth", "value": "GatewayKey edge&1&x"}]}, None),
        ({}, ("another", "value")),
    ],
)
def test_a_token_named_by_a_container_beside_the_gateways_counts_only_where_that_shows_nothing(
    own: Manifest, secret: tuple[str, str] | None
) -> None:
    gateway = {"name": "gw", "image": "mcr.microsoft.com/azure-api-management/gateway:2", **own}
    pod_spec = {"containers": [{"name": "helper", "image": "helper", "env": [_NAMED]}, gateway]}
    assert token_secret_of(pod_spec) == secret
