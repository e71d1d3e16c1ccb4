"""`gateway-bot check` of a cluster on which the bot may do all, some or nothing."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.checks import _http_mode, _not_shared, probes
from bot.doubt import Doubtful
from bot.sandbox.rights import rights
from bot.settings import Secrets, Settings
from deploy.errors import Unavailable
from deploy.kube.rights import IN_NAMESPACE, role
from tests.deploy.health.test_listed_namespaces import bind
from tests.support.exec_plugins import Answer, Issuer
from tests.support.running_cluster import RunningCluster


@pytest.fixture
def running(tmp_path: Path) -> Iterator[RunningCluster]:
    with RunningCluster(tmp_path, namespaces=("dev", "prod"), with_kubelet=False) as cluster:
        yield cluster


def cluster_probe(running: RunningCluster, user: str, *namespaces: str) -> str:
    return probe_of(running.kubeconfig(user), *namespaces)


def probe_of(kubeconfig: Path, *namespaces: str) -> str:
    west = {"name": "west", "kubeconfig": str(kubeconfig), "namespaces": namespaces or None}
    settings = Settings.model_validate(
        {
            "apim": [{"name": "a", "subscription": "s", "resource_group": "g", "service": "a"}],
            "clusters": [west],
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
    assert "is not allowed to list deployments, watch deployments, list pods, watch pods" in str(
        error.value
    )
    assert "Bind the ClusterRole (docs/install.md)" in str(error.value)


def test_it_is_told_where_gateways_may_be_changed(running: RunningCluster) -> None:
    grant(running)
    assert cluster_probe(running, "bot").endswith("may change gateways in no namespace")
    grant(running, "dev")
    assert cluster_probe(running, "bot").endswith("may change gateways in dev")


def test_where_namespaces_are_listed_each_is_proved_by_its_role(running: RunningCluster) -> None:
    with pytest.raises(
        Unavailable, match=r"“dev” does not exist .* or the bot has no Role"
    ) as none:
        cluster_probe(running, "bot", "dev")
    assert "Bind the Role for listed namespaces" in none.value.remedy
    bind(running, "dev")
    assert cluster_probe(running, "bot", "dev").endswith("namespace dev; may change gateways there")
    with pytest.raises(Unavailable, match="prod: Namespace “prod” does not exist") as some:
        cluster_probe(running, "bot", "dev", "prod")
    assert some.value.meaning.endswith("No problems in dev.")


def test_of_a_role_that_lacks_something_it_is_said_what(running: RunningCluster) -> None:
    bind(running, "dev")
    less = role("dev", [each for each in IN_NAMESPACE if each.resources != ("events",)])
    running.wait(running.cluster.apply([less]))
    with pytest.raises(Doubtful, match="dev: The bot is not allowed to list events"):
        cluster_probe(running, "bot", "dev")
    less = role("dev", [each for each in IN_NAMESPACE if "networkpolicies" not in each.resources])
    running.wait(running.cluster.apply([less]))
    with pytest.raises(
        Doubtful, match="dev: The bot is not allowed to get networkpolicies, create"
    ):
        cluster_probe(running, "bot", "dev")
    less = role("dev", [each for each in IN_NAMESPACE if each.resources != ("leases",)])
    running.wait(running.cluster.apply([less]))
    with pytest.raises(
        Unavailable, match="is not allowed to get leases, create leases, update leases"
    ):
        cluster_probe(running, "bot", "dev")


def test_rights_that_only_show_more_are_missed_with_a_warning(running: RunningCluster) -> None:
    grant(running, "dev")
    (role,) = [item for item in rights([]) if item["kind"] == "ClusterRole"]
    role["rules"] = [rule for rule in role["rules"] if "statefulsets" not in rule["resources"]]
    running.wait(running.cluster.apply([role]))
    with pytest.raises(Doubtful) as doubt:
        cluster_probe(running, "bot")
    assert "may change gateways in dev." in str(doubt.value)
    missing = "is not allowed to list statefulsets, watch statefulsets, list daemonsets, watch daemonsets in"
    assert missing in str(doubt.value)


def test_a_plugin_for_credentials_that_fails_is_told_in_its_own_words(
    running: RunningCluster, tmp_path: Path
) -> None:
    answer = Answer(stderr="AADSTS700016: there is no such application\nTrace ID: 7", status=1)
    with Issuer(tmp_path, lambda _: answer) as issuer:
        with pytest.raises(Unavailable) as error:
            probe_of(running.kubeconfig_of(issuer.user(), "kubeconfig-of-plugin"))
        assert str(error.value).startswith(
            f"The plugin “{issuer.program.name}” of cluster “west” failed: "
            "AADSTS700016: there is no such application. Its exit status is 1. Ask whoever"
        )


def test_in_http_mode_all_four_urls_that_slack_needs_are_named() -> None:
    settings = Settings.model_validate(
        {
            "slack": {"mode": "http", "http": {"path": "/here"}},
            "apim": [{"name": "a", "subscription": "s", "resource_group": "g", "service": "a"}],
            "clusters": [{"name": "west", "context": "west"}],
            "environments": [{"name": "development"}],
        }
    )
    said = _http_mode(settings)
    assert "four URLs that end in /here" in said
    assert "commands, interactivity, options load and events" in said


@pytest.mark.parametrize(
    ("channel", "said"),
    [
        ({}, ""),
        ({"is_ext_shared": True, "is_shared": True}, "with another workspace through Slack"),
        ({"is_pending_ext_shared": True}, "has been invited to share it"),
        ({"is_org_shared": True, "is_shared": True}, "other workspaces in the organization"),
    ],
)
def test_a_channel_of_production_is_doubtful_where_others_read_it(
    channel: dict[str, bool], said: str
) -> None:
    if not said:
        _not_shared(channel)
        return
    with pytest.raises(Doubtful, match=said):
        _not_shared(channel)
