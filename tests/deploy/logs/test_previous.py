"""What is said of pods that have no log from before their last restart."""

from typing import Any

from deploy.logs.previous import without_previous


def pod(name: str, *, restarts: int = 0, ended: bool = False) -> dict[str, Any]:
    last = {"terminated": {"exitCode": 1}} if ended else {}
    sidecar = {"name": "sidecar", "restartCount": 3, "lastState": {"terminated": {"exitCode": 0}}}
    gateway = {"name": "gateway", "restartCount": restarts, "lastState": last}
    return {"metadata": {"name": name}, "status": {"containerStatuses": [sidecar, gateway]}}


def test_pods_that_have_not_restarted_are_named_in_one_sentence() -> None:
    names, (said,) = without_previous([pod("a"), pod("b")], "gateway")
    assert names == {"a", "b"}
    assert said.startswith("None of the 2 pods has restarted, so there is no previous log.")
    _, (said,) = without_previous([pod("a")], "gateway")
    assert said.startswith("a has not restarted, so there is no previous log.")
    _, (said,) = without_previous([{"metadata": {"name": "starting"}}], "")
    assert said.startswith("starting has not restarted")


def test_pods_that_have_restarted_are_read_beside_them() -> None:
    pods = [pod("a"), pod("b"), pod("c", restarts=1, ended=True)]
    names, (said,) = without_previous(pods, "gateway")
    assert names == {"a", "b"}
    assert said == ("2 pods have not restarted: they have no previous log.")
    assert without_previous(pods[2:], "gateway") == (set(), [])


def test_an_earlier_log_that_is_kept_no_more_is_told_apart() -> None:
    names, said = without_previous([pod("a", restarts=2)], "gateway")
    assert names == {"a"}
    assert said == ["a: its log from before the restart is no longer kept."]
