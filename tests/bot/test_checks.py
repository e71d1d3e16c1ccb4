"""`gateway-bot check` of a cluster on which the bot may do all, some or nothing."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.checks import probes
from bot.sandbox.rights import rights
from bot.settings import Secrets, Settings
from deploy.errors import Unavailable
from tests.support.running_cluster import RunningCluster


@pytest.fixture
def running(tmp_path: Path) -> Iterator[RunningCluster]:
    with RunningCluster(tmp_path, namespaces=("dev", "prod"), with_kubelet=False) as cluster:
        yield cluster


def cluster_probe(running: RunningCluster, user: str) -> str:
    settings = Settings.model_validate(
        {
            "apim": [{"name": "a", "subscription": "s", "resource_group": "g", "service": "a"}],
            "clusters": [{"name": "west", "kubeconfig": str(running.kubeconfig(user))}],
            "environments": [{"name": "development"}],
        }
    )
    secrets = Secrets.model_validate({"SLACK_BOT_TOKEN": "xoxb-1"})
    return probes(settings, secrets)["cluster west"]()


def grant(running: RunningCluster, *namespaces: str) -> None:
    for item in rights(namespaces):
        for subject in item.get("subjects", ()):
            subject["name"] = "bot"
        running.wait(running.cluster.apply([item]))


def test_without_the_right_to_watch_gateways_it_is_said_what_is_missing(
    running: RunningCluster,
) -> None:
    with pytest.raises(Unavailable) as error:
        cluster_probe(running, "bot")
    assert "may not list deployments, watch deployments, list pods, watch pods" in str(error.value)
    assert "Bind the ClusterRole of docs/install.md" in str(error.value)


def test_it_is_told_where_gateways_may_be_changed(running: RunningCluster) -> None:
    grant(running)
    assert cluster_probe(running, "bot").endswith("may change gateways in no namespace")
    grant(running, "dev")
    assert cluster_probe(running, "bot").endswith("may change gateways in dev")
