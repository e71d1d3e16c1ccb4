"""What `gateway-bot k8s-manifest` prints, on a real control plane: it is accepted where Pod Security enforces
`restricted`, and with those rights the bot may do what it needs and nothing else."""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.install.installation import Installation
from bot.install.manifest import as_yaml
from deploy.kube.rights import IN_NAMESPACE
from tests.bot.install.settings_of import IMAGE, installed, one
from tests.support import limited_bot
from tests.support.control_plane import ControlPlane
from tests.support.kube_api import KubeApi, Obj
from tests.support.kubectl import Kubectl

ENFORCED = {
    "pod-security.kubernetes.io/enforce": "restricted",
    "pod-security.kubernetes.io/warn": "restricted",
}
HTTP: Obj = {"slack": {"mode": "http"}, "event_grid": {}}
FORBIDDEN = """\
get secrets elsewhere
list secrets elsewhere
get secrets home
list secrets home
list secrets everywhere
watch secrets gateways
update secrets gateways
deletecollection secrets gateways
get configmaps elsewhere
patch configmaps home
create pods gateways
delete pods gateways
patch pods gateways
create pods/exec gateways
get pods/exec gateways
create pods/attach gateways
create pods/portforward gateways
create pods/eviction gateways
create pods/proxy gateways
patch pods/ephemeralcontainers gateways
list pods everywhere
list pods elsewhere
create serviceaccounts/token gateways
create serviceaccounts/token home
impersonate serviceaccounts home
impersonate users everywhere
create namespaces everywhere
delete namespaces everywhere
delete namespaces gateways
patch namespaces gateways
list namespaces everywhere
get nodes everywhere
create nodes/proxy everywhere
delete persistentvolumes everywhere
create apps/deployments home
patch apps/deployments home
create apps/deployments elsewhere
deletecollection apps/deployments gateways
create apps/daemonsets gateways
patch apps/statefulsets gateways
create batch/jobs gateways
create batch/cronjobs gateways
create rbac.authorization.k8s.io/roles gateways
escalate rbac.authorization.k8s.io/roles gateways
bind rbac.authorization.k8s.io/roles gateways
create rbac.authorization.k8s.io/rolebindings gateways
create rbac.authorization.k8s.io/clusterroles everywhere
create rbac.authorization.k8s.io/clusterrolebindings everywhere
create admissionregistration.k8s.io/mutatingwebhookconfigurations everywhere
create apiextensions.k8s.io/customresourcedefinitions everywhere
create certificates.k8s.io/certificatesigningrequests everywhere
list coordination.k8s.io/leases gateways
get coordination.k8s.io/leases elsewhere
"""


@dataclass
class Installed:
    """The bot's rights on a cluster, as its administrator sees them, and the bot's own client."""

    admin: KubeApi
    bot: KubeApi
    places: dict[str, str]

    def may(self, verb: str, what: str, place: str) -> bool:
        """Whether access control lets the bot do that."""
        group, _, resource = (
            what.rpartition("/") if "." in what or _grouped(what) else ("", "", what)
        )
        name, _, subresource = resource.partition("/")
        user = f"system:serviceaccount:{self.places['home']}:gateway-bot"
        groups = ["system:serviceaccounts", "system:authenticated"]
        attributes = {"verb": verb, "group": group, "resource": name, "subresource": subresource}
        attributes["namespace"] = self.places[place]
        review = {"spec": {"user": user, "groups": groups, "resourceAttributes": attributes}}
        path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
        return bool(self.admin.create(path, review)["status"]["allowed"])


def _grouped(what: str) -> bool:
    return what.partition("/")[0] in ("apps", "batch", "autoscaling", "policy")


@pytest.fixture(scope="module")
def found(
    real_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installed]:
    unique, directory = secrets.token_hex(3), tmp_path_factory.mktemp("installation")
    places = {name: f"{name}-{unique}" for name in ("home", "gateways", "elsewhere")}
    admin = KubeApi(real_plane.kubeconfig, real_plane.context)
    for name in places.values():
        admin.create("/api/v1/namespaces", {"metadata": {"name": name}})
    objects = limited_bot.installed([places["gateways"]], places["home"])
    token = limited_bot.grant(admin, objects, places["home"])
    own = limited_bot.kubeconfig(real_plane, token, directory / "bot")
    try:
        yield Installed(admin, KubeApi(own, "west"), {**places, "everywhere": ""})
    finally:
        for name in places.values():
            admin.delete(f"/api/v1/namespaces/{name}")


@pytest.fixture
def restricted(real_plane: ControlPlane) -> Iterator[str]:
    """A namespace in which Pod Security enforces `restricted`."""
    name = f"restricted-{secrets.token_hex(3)}"
    admin = KubeApi(real_plane.kubeconfig, real_plane.context)
    admin.create("/api/v1/namespaces", {"metadata": {"name": name, "labels": ENFORCED}})
    yield name
    admin.delete(f"/api/v1/namespaces/{name}")


@pytest.mark.parametrize("changes", [{}, HTTP], ids=["Socket Mode", "HTTP mode"])
def test_kubectl_applies_the_manifest_and_nothing_is_warned_of(
    real_plane: ControlPlane, restricted: str, changes: dict[str, Any], tmp_path: Path
) -> None:
    clusters = [{"name": "west", "in_cluster": True, "namespaces": [restricted]}]
    installation = Installation(IMAGE, namespace=restricted, host="bot.example.com")
    text = as_yaml(installed(installation, clusters=clusters, **changes))
    kubectl = Kubectl(real_plane.kubeconfig, tmp_path)
    options = ("--context", real_plane.context, "apply", "--server-side", "-f", "-")
    for more in (["--dry-run=server"], [], []):
        done = kubectl.run(*options, *more, given=text)
        assert done.returncode == 0, done.stderr
        assert "Warning" not in done.stderr
    applied = [line for line in done.stdout.splitlines() if "serverside-applied" in line]
    assert len(applied) == len(list(yaml.safe_load_all(text)))


def test_pod_security_admits_the_bots_pods_and_would_refuse_laxer_ones(
    real_plane: ControlPlane, restricted: str
) -> None:
    admin = KubeApi(real_plane.kubeconfig, real_plane.context)
    path = f"/api/v1/namespaces/{restricted}"
    if admin.gone(f"{path}/serviceaccounts/gateway-bot"):
        admin.create(f"{path}/serviceaccounts", {"metadata": {"name": "gateway-bot"}})
    template = one(installed(), "Deployment")["spec"]["template"]
    pod: Obj = {"metadata": {"name": "bot"}, "spec": template["spec"]}
    admitted = admin.request("POST", f"{path}/pods?dryRun=All", pod)
    assert admitted.status == 201, admitted.message
    for field in ("allowPrivilegeEscalation", "capabilities"):
        (container,) = template["spec"]["containers"]
        less = {name: v for name, v in container["securityContext"].items() if name != field}
        lax = {**template["spec"], "containers": [{**container, "securityContext": less}]}
        refused = admin.request("POST", f"{path}/pods?dryRun=All", {**pod, "spec": lax})
        assert refused.status == 403, refused
        assert "PodSecurity" in refused.message


def test_all_that_the_bot_needs_in_a_namespace_is_allowed(found: Installed) -> None:
    for rights in IN_NAMESPACE:
        for resource in rights.resources:
            what = f"{rights.group}/{resource}" if rights.group else resource
            for verb in rights.verbs:
                assert found.may(verb, what, "gateways"), f"{verb} {what}"


@pytest.mark.parametrize("case", FORBIDDEN.splitlines())
def test_the_bot_may_not(case: str, found: Installed) -> None:
    verb, what, place = case.split()
    assert not found.may(verb, what, place)


def test_what_is_refused_in_a_review_is_refused_indeed(found: Installed) -> None:
    home, gateways, elsewhere = (found.places[n] for n in ("home", "gateways", "elsewhere"))
    role = {"metadata": {"name": "more"}, "rules": []}
    for method, path, body in (
        ("GET", f"/api/v1/namespaces/{elsewhere}/secrets", None),
        ("GET", f"/api/v1/namespaces/{home}/secrets", None),
        ("GET", "/api/v1/secrets", None),
        ("DELETE", f"/api/v1/namespaces/{gateways}", None),
        ("POST", f"/api/v1/namespaces/{gateways}/pods", {"metadata": {"name": "x"}, "spec": {}}),
        ("POST", f"/api/v1/namespaces/{gateways}/pods/x/exec?command=id", None),
        ("POST", f"/apis/rbac.authorization.k8s.io/v1/namespaces/{gateways}/roles", role),
        ("POST", "/apis/rbac.authorization.k8s.io/v1/clusterroles", role),
        ("POST", f"/api/v1/namespaces/{home}/serviceaccounts/gateway-bot/token", {"spec": {}}),
    ):
        answer = found.bot.request(method, path, body)
        assert answer.status == 403, f"{method} {path}: {answer}"
    own = found.bot.request("GET", f"/api/v1/namespaces/{gateways}/secrets")
    assert own.status == 200
