"""A CronJob of somebody else that rotates a gateway's token is found before this bot does, and named."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.sandbox.rights import rights
from deploy.kube.cluster import Cluster, connect
from deploy.observed.other_rotation import killer_of, rotators_of
from deploy.plans.plan import Plan
from deploy.plans.planning import Planner
from deploy.rules.finding import Finding
from deploy.tokens.rotation import Rotation
from tests.deploy.plans.test_planning import deploy
from tests.support.gateway_bed import INSTANCE, INSTANCES, SPEC, TIMEOUTS
from tests.support.running_cluster import RunningCluster

RULE = "rotated-elsewhere"
JOBS = Path(__file__).parents[2] / "data/others"


def of_others(name: str) -> dict[str, Any]:
    """A CronJob as it was met."""
    found: dict[str, Any] = yaml.safe_load((JOBS / f"cronjob-{name}.yaml").read_text())
    return found


CASE = of_others("rotates-and-regenerates")
ARM = (
    "az rest --method post --url https://management.azure.com/subscriptions/x/resourceGroups/rg"
    "/providers/Microsoft.ApiManagement/service/contoso/gateways/demo/regenerateKey?api-version=1"
)
WRITES = "kubectl create secret generic demo-token --from-literal=value=$(cat /t)"


def job(*, namespace: str = "default", suspend: bool = False, said: str = "") -> dict[str, Any]:
    """The case, or one of the same name that says everything in its arguments."""
    made = copy.deepcopy(CASE)
    made["metadata"]["namespace"] = namespace
    made["spec"]["suspend"] = suspend
    if said:
        (container,) = made["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
        del container["env"]
        container["args"] = [said]
    return made


@pytest.mark.parametrize(
    ("one", "gateway", "service", "found"),
    [
        (job(), "demo", "contoso", True),
        (job(), "Demo", "Contoso", True),
        (job(said=ARM), "demo", "contoso", True),
        (job(said=WRITES, namespace="dev"), "demo", "contoso", True),
        (job(said=WRITES), "demo", "contoso", False),
        (job(), "demo-2", "contoso", False),
        (job(), "dem", "contoso", False),
        (job(), "demo", "fabrikam", False),
        (job(suspend=True), "demo", "contoso", False),
    ],
)
def test_a_job_is_found_by_what_it_must_know(
    one: dict[str, Any], gateway: str, service: str, found: bool
) -> None:
    names = tuple(
        map(
            str,
            rotators_of(
                [one], namespace="dev", gateway=gateway, service=service, secret="demo-token"
            ),
        )
    )
    namespace = one["metadata"]["namespace"]
    assert names == ((f"CronJob {namespace}/rotate-cronjob",) if found else ())


@pytest.mark.parametrize(
    ("name", "certain"),
    [
        ("rotates-and-regenerates", True),
        ("powershell-regenerates", True),
        ("script-in-a-map", False),
    ],
)
def test_a_job_is_found_however_it_is_told_what_to_do(name: str, certain: bool) -> None:
    asked = {"gateway": "demo", "service": "contoso", "secret": "demo-token"}
    (found,) = rotators_of([of_others(name)], namespace="default", **asked)
    assert found.certain == certain
    elsewhere = rotators_of([of_others(name)], namespace="dev", **asked)
    assert bool(elsewhere) == certain, "what is not certain is of the gateway's own namespace"


def test_a_job_without_anything_in_it_is_none() -> None:
    bare = {"metadata": {"name": "x", "namespace": "dev"}}
    asked = {"namespace": "dev", "gateway": "demo", "service": "contoso", "secret": ""}
    assert rotators_of([bare, {**bare, "spec": {"jobTemplate": {}}}], **asked) == ()


ASKED = {"namespace": "dev", "gateway": "demo", "service": "contoso", "secret": "demo-token"}
KNOWS = [{"name": "GATEWAY", "value": "demo"}, {"name": "SERVICE", "value": "contoso"}]
ELSEWHERE = {"envFrom": [{"configMapRef": {"name": "rotation"}}]}
ROTATING = (
    {"image": "registry.example/apimrotate:1", "env": KNOWS},
    {
        "image": "mcr.microsoft.com/azure-cli",
        "args": [ARM.replace("regenerateKey", "generateToken")],
    },
    {"image": "mcr.microsoft.com/azure-cli", "args": [ARM]},
    {"image": "bitnami/kubectl", "command": ["sh", "-c", WRITES]},
    {"image": "bitnami/kubectl", "args": ['kubectl patch secret demo-token -p "$BODY"']},
)
UNCERTAIN = (
    # It knows the gateway, and nothing says what it does with it.
    {"image": "registry.example/report:1", "env": KNOWS},
    {"image": "registry.example/tool:1", "args": ["--gateway=demo", "--service=contoso"]},
    # It rotates something of gateways, and a ConfigMap says of which.
    {"image": "registry.example/apim-rotate:1", **ELSEWHERE},
    {"image": "mcr.microsoft.com/azure-cli", "command": ["regenerate-gateway-key.sh"], **ELSEWHERE},
    # The same, and a file that it mounts says of which.
    {
        "image": "mcr.microsoft.com/azure-cli",
        "command": ["regenerate-gateway-key.sh"],
        "volumes": [{"name": "which", "secret": {"secretName": "which"}}],
    },
)
UNRELATED = (
    {"image": "registry.example/backup:1", "args": ["demo"]},
    {"image": "registry.example/apim-rotate:1", "env": [{"name": "GATEWAY", "value": "other"}]},
    {"image": "registry.example/log-rotate:1", **ELSEWHERE},
    {"image": "registry.example/report:1", "args": ["--service=contoso", "--gateway=demo-2"]},
    {"image": "bitnami/kubectl", "args": ["kubectl get pods -l app=demo"]},
    {
        "image": "mcr.microsoft.com/azure-cli",
        "command": ["/scripts/run.sh"],
        "volumes": [{"name": "scripts", "configMap": {"name": "gateway-report"}}],
    },
)
SCHEDULES = ("0 2 1,15 * *", "@monthly", "*/5 * * * *", "0 0 * * 0")


def jobs(containers: tuple[dict[str, Any], ...], *, token: bool = True) -> list[dict[str, Any]]:
    """Each with every schedule, in the gateway's namespace."""
    return [
        {
            "metadata": {"name": f"job-{number}-{n}", "namespace": "dev"},
            "spec": {
                "schedule": schedule,
                "jobTemplate": {
                    "spec": {
                        "template": {
                            "spec": {
                                "automountServiceAccountToken": token,
                                "volumes": container.get("volumes", []),
                                "containers": [container],
                            }
                        }
                    }
                },
            },
        }
        for number, container in enumerate(containers)
        for n, schedule in enumerate(SCHEDULES)
    ]


def test_twenty_jobs_that_rotate_are_named_and_those_that_only_may_are_perhaps() -> None:
    rotating = jobs(ROTATING)
    assert len(rotating) == 20
    for one in rotating:
        (found,) = rotators_of([one], **ASKED)
        assert found.certain, one
    for one in jobs(UNCERTAIN):
        (found,) = rotators_of([one], **ASKED)
        assert str(found).startswith("perhaps CronJob dev/job-"), one


def test_twenty_jobs_that_only_look_like_it_are_named_nowhere() -> None:
    unrelated = jobs(UNRELATED)
    assert len(unrelated) >= 20
    assert rotators_of(unrelated, **ASKED) == ()


def test_a_job_that_may_not_call_the_api_server_writes_no_secret() -> None:
    assert rotators_of(jobs(ROTATING[3:], token=False), **ASKED) == ()


def test_the_job_that_ran_right_before_a_refusal_killed_the_token() -> None:
    ran = {**job(), "status": {"lastScheduleTime": "2026-11-15T02:00:00Z"}}
    idle = {**job(namespace="other"), "status": {"lastScheduleTime": "2026-11-14T02:00:00Z"}}
    found = rotators_of([ran, idle, job(namespace="never")], **ASKED)
    two = 1_794_708_000.0
    killer = killer_of(found, two + 40)
    assert killer is not None
    assert str(killer) == "CronJob default/rotate-cronjob"
    assert killer_of(found, two + 3600) is None
    assert killer_of(found, two - 3600) is None


def findings(plan: Plan) -> list[Finding]:
    return [finding for finding in plan.findings if finding.rule == RULE]


def test_a_plan_that_makes_a_token_names_the_job_and_can_still_be_decided_on(
    cluster: Cluster,
) -> None:
    planner = Planner({"west": cluster}.__getitem__, list, instances=INSTANCES)
    deploy(cluster, planner)
    assert findings(planner.plan(SPEC, "XYZ789", rotation=Rotation())) == []
    cluster.create(job(namespace="dev", said=f"rotate.sh {INSTANCE.service} edge-1"))
    plan = planner.plan(SPEC, "XYZ789", rotation=Rotation())
    (finding,) = findings(plan)
    assert finding.severity == "warning"
    assert "CronJob dev/rotate-cronjob" in finding.fix
    assert plan.digest
    assert findings(planner.plan(SPEC, "XYZ789")) == [], "the token in use is kept"


def test_jobs_that_may_not_be_listed_are_said_to_be_unknown(running: RunningCluster) -> None:
    items = rights(["dev"])
    for item in items:
        rules = item.get("rules", [])
        item.update({"rules": [r for r in rules if r["apiGroups"] != ["batch"]]} if rules else {})
        for subject in item.get("subjects", ()):
            subject["name"] = "bot"
    running.wait(running.cluster.apply(items))
    cluster = connect("west", kubeconfig=running.kubeconfig("bot"), timeouts=TIMEOUTS)
    try:
        planner = Planner({"west": cluster}.__getitem__, list, instances=INSTANCES)
        plan = planner.plan(SPEC, "XYZ789")
        (finding,) = findings(plan)
        assert finding.severity == "info"
        assert "is not allowed to list cronjobs" in finding.what
        assert plan.digest
    finally:
        cluster.close()
