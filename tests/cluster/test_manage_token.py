"""Tokens of gateways that others deploy: kept valid on both clusters, and nothing else is touched."""

import copy
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.sandbox.node.addresses import LOOPBACK, routed_range
from deploy.actions.action import State
from deploy.annotations import TOKEN_ACTION_ANNOTATION
from deploy.changes.adopting import adoption_of
from deploy.deadline import Deadline
from deploy.errors import Conflict, Unavailable
from deploy.gateway import ApimGateway
from deploy.health.cache import ClusterCache
from deploy.kube.cluster import connect
from deploy.observed.token_only import KeptToken
from deploy.plans.requests import DeployRequest, EndTokenRequest, RemovalRequest, RotateRequest
from deploy.plans.token_only import outline
from deploy.rollouts.survey import Survey
from deploy.rollouts.token_places import OneSecret
from deploy.tokens.rotation import Rotation
from deploy.tokens.token import Token
from tests.cluster.conftest import joined
from tests.support.azure import azure_bed
from tests.support.control_plane import ControlPlane
from tests.support.gateway_bed import HOST, PATIENT
from tests.support.kube_api import Obj
from tests.support.others_bed import OthersBed, Owner, Style, reloader
from tests.support.processes import ROOT
from tests.support.rotation_bed import RotationBed, hosts_of, spec_of
from tests.support.running_cluster import RunningCluster
from tests.support.traffic import Traffic, traffic
from tests.support.waiting import until


@pytest.fixture(scope="module", params=["sandbox", "real"])
def bed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OthersBed]:
    directory = tmp_path_factory.mktemp(request.param)
    if request.param == "real":
        plane = request.getfixturevalue("real_plane")
        if not plane.controllers:
            pytest.skip("this control plane is an API server alone, without controllers")
        yield from on(plane, directory, real=True)
        return
    with RunningCluster(directory, namespaces=(), with_kubelet=False) as cluster:
        yield from on(ControlPlane(cluster.kubeconfig(), "west"), directory, real=False)


def on(plane: ControlPlane, directory: Path, *, real: bool) -> Iterator[OthersBed]:
    """Nodes of ours, whose times pass ten times faster than in life, and an Azure."""
    with (
        azure_bed(directory) as azure,
        joined(
            plane,
            directory,
            routed_range() if real else LOOPBACK,
            "real" if real else "sandbox",
            hosts=hosts_of(azure),
            ca_pem=azure.authority.ca_pem,
            time_scale=0.1,
        ) as target,
    ):
        namespace = f"t-{secrets.token_hex(4)}"
        target.api.create("/api/v1/namespaces", {"metadata": {"name": namespace}})
        cluster = connect(
            "west", kubeconfig=plane.kubeconfig, context=plane.context, timeouts=PATIENT
        )
        rotation = RotationBed(
            cluster,
            azure,
            target.fault,
            spec_of(namespace),
            plane.kubeconfig,
            plane.context,
            margin=60.0,
        )
        try:
            yield OthersBed(rotation, target.api, target.placed)
        finally:
            cluster.close()
            target.api.request("DELETE", f"/api/v1/namespaces/{namespace}")


def kept(bed: OthersBed, name: str, style: Style, **more: Any) -> Owner:
    """A gateway whose owner has made the one change that the bot asked for."""
    owner = bed.owner(name, style, **more)
    before = bed.deployment(name)
    outcome = bed.manage(name)
    assert outcome.state is State.SUCCEEDED, outcome
    stable = f"{name}-managed-token"
    assert outcome.happened == f"Secret {stable} has a new token, but no pod reads it yet"
    assert stable in outcome.remedy
    if style == "helm":
        assert f"`secret.existingSecretName: {stable}`" in outcome.remedy
    assert without_status(bed.deployment(name)) == without_status(before), "nothing was touched"
    with pytest.raises(Conflict, match=f"does not read its token from the bot's Secret {stable}"):
        bed.rotate(name)
    owner.secret = stable
    owner.upgrade()
    bed.settled(name)
    return owner


def without_status(deployment: Obj) -> Obj:
    metadata = {k: v for k, v in deployment["metadata"].items() if k != "resourceVersion"}
    metadata["managedFields"] = [
        each for each in metadata["managedFields"] if each.get("subresource") != "status"
    ]
    return {**{k: v for k, v in deployment.items() if k != "status"}, "metadata": metadata}


def rotated(bed: OthersBed, name: str) -> Traffic:
    """A rotation by hand under a hundred requests a second, of which none is dropped."""
    stable, pods = f"{name}-managed-token", set(bed.pods(name))
    before = bed.token(stable)
    rotation = bed.rotation
    with traffic(rotation.kubeconfig, rotation.context, bed.namespace, name) as told:
        outcome = bed.rotate(name)
    assert outcome.state is State.SUCCEEDED, outcome
    assert told.dropped == []
    assert told.answered == told.sent > 0
    # It sends a hundred a second; what is less is the machine's.
    assert told.rate > 30
    assert not pods & set(bed.pods(name)), "every pod was replaced"
    assert bed.token(stable) != before
    assert bed.azure.poll(bed.token(stable)).status_code == 200
    assert not bed.has_secret(f"{stable}-previous"), "collected after verification"
    return told


def only_the_restart_is_ours(bed: OthersBed, name: str) -> None:
    """What the bot owns of the Deployment, and that nothing which its owner declares is the bot's."""
    (entry,) = bed.ours(name)
    template = entry["fieldsV1"]["f:spec"]["f:template"]
    assert entry["fieldsV1"].keys() == {"f:spec"}
    assert entry["fieldsV1"]["f:spec"].keys() == {"f:template"}
    assert template == {"f:metadata": {"f:annotations": {f"f:{TOKEN_ACTION_ANNOTATION}": {}}}}


@pytest.mark.parametrize("style", ["helm", "argo", "flux"])
def test_a_token_is_rotated_without_a_dropped_request_and_no_upgrade_brings_back_an_older_one(
    bed: OthersBed, style: Style
) -> None:
    name = f"edge-{style}"
    owner = kept(bed, name, style)
    if style == "helm":
        rotated(bed, name)
    else:
        with owner.reapplying():
            rotated(bed, name)
    verified = bed.token(f"{name}-managed-token")
    only_the_restart_is_ours(bed, name)
    for _ in range(3):
        owner.upgrade()
        bed.settled(name)
        assert bed.token(f"{name}-managed-token") == verified
        template = bed.deployment(name)["spec"]["template"]["spec"]
        (auth,) = [
            e for e in template["containers"][0]["env"] if e["name"] == "config.service.auth"
        ]
        assert auth["valueFrom"]["secretKeyRef"]["name"] == f"{name}-managed-token"
    only_the_restart_is_ours(bed, name)
    assert owner.refused == [], "the owner never met a conflict with the bot"


def test_where_nobody_declares_the_reference_it_alone_is_changed_and_older_secrets_go(
    bed: OthersBed,
) -> None:
    name = "edge-person"
    bed.owner(name, "person")
    before, pods = bed.deployment(name), set(bed.pods(name))
    rotation = bed.rotation
    with traffic(rotation.kubeconfig, rotation.context, bed.namespace, name) as told:
        outcome = bed.manage(name)
    assert outcome.state is State.SUCCEEDED, outcome
    assert f"Secret {name} is kept for a rollback." in outcome.meaning
    assert told.dropped == []
    assert told.answered == told.sent > 0
    assert not pods & set(bed.pods(name))
    first = reference(bed.deployment(name))
    assert first["key"] == "gateway-key"
    assert bed.azure.poll(bed.token(first["name"])).status_code == 200
    assert declared(bed.deployment(name)) == declared(before)
    (entry,) = bed.ours(name)
    assert set(leaves(entry["fieldsV1"])) <= OURS
    outcome = bed.rotate(name)
    assert outcome.state is State.SUCCEEDED, outcome
    second = reference(bed.deployment(name))
    assert second["name"] != first["name"]
    assert bed.secret(second["name"])["immutable"] is True
    assert bed.rotate(name).state is State.SUCCEEDED
    assert not bed.has_secret(first["name"]), "nothing needs it any longer"
    assert bed.has_secret(second["name"]), "the way back"
    assert bed.has_secret(name), "what a person made is never deleted"


OURS = {
    "f:annotations", f"f:{TOKEN_ACTION_ANNOTATION}", "f:containers", 'k:{"name":"gateway"}',
    ".", "f:name", "f:env", 'k:{"name":"config.service.auth"}', "f:valueFrom", "f:secretKeyRef",
    "f:spec", "f:template", "f:metadata",
}  # fmt: skip


def leaves(fields: Obj) -> Iterator[str]:
    for name, below in fields.items():
        yield name
        yield from leaves(below)


def reference(deployment: Obj) -> Obj:
    env = deployment["spec"]["template"]["spec"]["containers"][0]["env"]
    found: Obj = next(e for e in env if e["name"] == "config.service.auth")
    return dict(found["valueFrom"]["secretKeyRef"])


def declared(deployment: Obj) -> Obj:
    """The spec, but for the reference and the annotation that the bot writes."""
    spec = copy.deepcopy(deployment["spec"])
    metadata = spec["template"]["metadata"]
    (metadata.get("annotations") or {}).pop(TOKEN_ACTION_ANNOTATION, None)
    if not metadata.get("annotations"):
        metadata.pop("annotations", None)
    auth = spec["template"]["spec"]["containers"][0]["env"][0]
    auth["valueFrom"]["secretKeyRef"].pop("name")
    found: Obj = spec
    return found


def test_a_token_that_azure_refuses_is_taken_back_and_none_is_dropped(bed: OthersBed) -> None:
    name = "edge-back"
    kept(bed, name, "helm")
    stable = f"{name}-managed-token"
    before = bed.token(stable)
    rotation = bed.rotation
    action = bed.decided("rotate", RotateRequest(bed.ref(name), Rotation()))
    rotation.mint_elsewhere()
    try:
        with traffic(rotation.kubeconfig, rotation.context, bed.namespace, name) as told:
            outcome = bed.run(action)
    finally:
        rotation.mint_right()
    assert outcome.state is State.FAILED
    assert outcome.happened.startswith("The previous token is in use again: Azure refuses")
    assert f"pods are ready with Secret {stable}" in outcome.meaning
    assert "the Secret has the previous one" in outcome.meaning
    assert told.dropped == []
    assert bed.token(stable) == before
    assert not bed.has_secret(f"{stable}-previous")


def test_an_owner_who_takes_the_restart_back_is_named_with_the_command_that_restarts(
    bed: OthersBed,
) -> None:
    name = "edge-replaces"
    owner = kept(bed, name, "replaces")
    action = bed.decided("rotate", RotateRequest(bed.ref(name), Rotation()))
    with owner.reapplying(0.5):
        outcome = bed.run(action)
    assert outcome.state is State.FAILED
    assert outcome.happened == "Restart refused by Argo CD (application edge)."
    assert f"Secret {name}-managed-token has the new token" in outcome.meaning
    assert outcome.remedy == (
        "Restart the pods: `argocd app actions run edge restart --kind Deployment "
        f"--resource-name {name} --namespace {bed.namespace}`."
    )


def test_a_restart_that_is_taken_back_later_is_told_by_the_second_look(
    bed: OthersBed,
) -> None:
    name = "edge-later"
    owner = kept(bed, name, "replaces")
    action = bed.decided("rotate", RotateRequest(bed.ref(name), Rotation()))
    assert bed.run(action).state is State.SUCCEEDED
    assert bed.looked_again(action) == ""
    owner.apply()
    bed.settled(name)
    assert bed.looked_again(action) == (
        "Argo CD (application edge) reverted the bot's restart, which replaced the pods again. "
        "All of them have the new token."
    )


@pytest.mark.parametrize("style", ["helm", "argo", "flux"])
def test_an_owners_secret_is_never_written_and_the_plan_says_whose_it_is(
    bed: OthersBed, style: Style
) -> None:
    name = f"edge-plan-{style}"
    bed.owner(name, style)
    before = bed.secret(name)
    plan = bed.plan("manage-token", bed.managing(name))
    said = [finding.what for finding in plan.findings]
    whose = {
        "helm": f"Helm (release {bed.namespace}/edge)",
        "argo": "Argo CD (application edge)",
        "flux": "Flux (Kustomization ns/edge)",
    }[style]
    assert f"Secret {name} belongs to {whose}, so the bot never writes it." in said
    assert any(f"{whose} declares where its pods read the token from." in each for each in said)
    assert bed.manage(name).state is State.SUCCEEDED
    assert bed.secret(name) == before


def test_a_secret_with_an_owner_under_the_bots_name_is_not_written(bed: OthersBed) -> None:
    name = "edge-sealed"
    bed.owner(name, "helm")
    owner = {
        "apiVersion": "v1", "kind": "ConfigMap", "name": name, "controller": True,
        "uid": bed.api.get(f"/api/v1/namespaces/{bed.namespace}/configmaps/{name}")["metadata"]["uid"],
    }  # fmt: skip
    taken = f"{name}-managed-token"
    body = {"metadata": {"name": taken, "ownerReferences": [owner]}, "data": {}}
    bed.api.create(f"/api/v1/namespaces/{bed.namespace}/secrets", body)
    before = bed.secret(taken)
    with pytest.raises(Conflict, match=f"it belongs to ConfigMap {name}"):
        bed.plan("manage-token", bed.managing(name))
    assert bed.secret(taken) == before


def test_where_reloader_restarts_the_pods_the_bot_does_not(bed: OthersBed) -> None:
    name = "edge-reloader"
    owner = kept(bed, name, "helm", noted={"reloader.stakater.com/auto": "true"})
    pods, stable = set(bed.pods(name)), f"{name}-managed-token"
    rotation = bed.rotation
    with (
        reloader(owner, stable),
        traffic(rotation.kubeconfig, rotation.context, bed.namespace, name) as told,
    ):
        outcome = bed.rotate(name)
    assert outcome.state is State.SUCCEEDED, outcome
    assert told.dropped == []
    assert not pods & set(bed.pods(name))
    assert bed.ours(name) == [], "nothing of the Deployment is the bot's"
    template = bed.deployment(name)["spec"]["template"]["metadata"]
    assert TOKEN_ACTION_ANNOTATION not in template["annotations"]


def test_the_rights_that_the_documentation_asks_for_are_enough(
    bed: OthersBed, tmp_path: Path
) -> None:
    name, account = "edge-rights", "gateway-bot-tokens"
    kept(bed, name, "helm")
    accounts = f"/api/v1/namespaces/{bed.namespace}/serviceaccounts"
    bed.api.create(accounts, {"metadata": {"name": account}})
    answer = bed.api.request("POST", f"{accounts}/{account}/token", {"spec": {}})
    if answer.status == 404:
        pytest.skip("this cluster makes no tokens of service accounts")
    grant(bed, name, account)
    config = yaml.safe_load(bed.rotation.kubeconfig.read_text())
    (context,) = [c for c in config["contexts"] if c["name"] == bed.rotation.context]
    users = [{"name": account, "user": {"token": answer.body["status"]["token"]}}]
    limited = {**context, "context": {**context["context"], "user": account}}
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump({**config, "users": users, "contexts": [limited]}))
    cluster = connect("west", kubeconfig=path, context=bed.rotation.context, timeouts=PATIENT)
    before = bed.token(f"{name}-managed-token")
    try:
        # An API server knows of a new binding a moment after it has taken it.
        until(lambda: cluster.can_i("list", "", "pods", None), "the rights of the ClusterRole")
        until(
            lambda: cluster.can_i("create", "coordination.k8s.io", "leases", bed.namespace),
            "those of the Role",
        )
        outcome = bed.on(cluster).rotate(name)
    finally:
        cluster.close()
    assert outcome.state is State.SUCCEEDED, outcome
    assert bed.token(f"{name}-managed-token") != before
    assert not bed.has_secret(f"{name}-managed-token-previous")


def grant(bed: OthersBed, name: str, account: str) -> None:
    """The ClusterRole and the Role for tokens only of docs/install.md, for that gateway."""
    page = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
    blocks = [part.partition("```")[0] for part in page.split("```yaml\n")[1:]]
    objects = [item for block in blocks for item in yaml.safe_load_all(block)]
    (outline,) = [o for o in objects if o.get("kind") == "ClusterRole"]
    (role,) = [o for o in objects if o.get("metadata", {}).get("name") == account]
    role = yaml.safe_load(yaml.safe_dump(role).replace("edge-1", name))
    root = "/apis/rbac.authorization.k8s.io/v1"
    unique = f"{account}-{bed.namespace}"
    bed.api.create(f"{root}/clusterroles", {**outline, "metadata": {"name": unique}})
    of = {"kind": "ServiceAccount", "name": account, "namespace": bed.namespace}
    api = {"apiGroup": "rbac.authorization.k8s.io"}
    bed.api.create(
        f"{root}/clusterrolebindings",
        {
            "metadata": {"name": unique}, "subjects": [of],
            "roleRef": {**api, "kind": "ClusterRole", "name": unique},
        },
    )  # fmt: skip
    inside = f"{root}/namespaces/{bed.namespace}"
    bed.api.create(f"{inside}/roles", {**role, "metadata": {"name": account}})
    bed.api.create(
        f"{inside}/rolebindings",
        {
            "metadata": {"name": account}, "subjects": [of],
            "roleRef": {**api, "kind": "Role", "name": account},
        },
    )  # fmt: skip


def test_pods_that_began_before_their_secret_was_written_keep_a_key_from_being_regenerated(
    bed: OthersBed,
) -> None:
    name = "edge-keys"
    kept(bed, name, "helm")
    assert bed.rotate(name).state is State.SUCCEEDED
    cache = ClusterCache(bed.cluster)
    cache.start()
    try:
        apim = ApimGateway("contoso", "edge-1", HOST)
        survey = Survey({"west": cache})
        spec = outline(bed.deployment(name), bed.ref(name), apim)

        def held() -> set[str | None]:
            try:
                pods = survey.holding(spec).pods
            except Unavailable:
                # Somebody else's gateway on this control plane went while it was looked at.
                return set()
            mine = [each for each in pods if each.ref.name == name]
            return {each.facts.key if each.facts else None for each in mine}

        until(lambda: held() == {"primary"}, "the key of the token that its pods hold")
        token = Token.parse(bed.azure.token())
        assert token is not None
        place = OneSecret(
            bed.ref(name), f"{name}-managed-token", f"{name}-managed-token-previous",
            KeptToken(name, "contoso", "edge-1"), "gateway-key",
        )  # fmt: skip
        place.write(bed.cluster, token, "ABC999", "secondary")
        until(lambda: held() == {None}, "that it is not known what its pods hold")
    finally:
        cache.stop(Deadline.after(5))


def ending(bed: OthersBed, name: str) -> EndTokenRequest:
    return EndTokenRequest(bed.ref(name))


def marked_ours(secret: Obj) -> bool:
    metadata = secret["metadata"]
    noted = {**(metadata.get("labels") or {}), **(metadata.get("annotations") or {})}
    return any("gateway-bot" in f"{key} {value}" for key, value in noted.items())


def test_what_the_pods_read_stays_when_the_bot_no_longer_keeps_a_token(bed: OthersBed) -> None:
    name = "edge-end"
    kept(bed, name, "helm")
    stable, pods = f"{name}-managed-token", set(bed.pods(name))
    left_over = copy.deepcopy(bed.secret(stable))
    metadata = {key: left_over["metadata"][key] for key in ("labels", "annotations")}
    left_over["metadata"] = {**metadata, "name": f"{stable}-previous"}
    bed.api.create(f"/api/v1/namespaces/{bed.namespace}/secrets", left_over)
    before, token = bed.deployment(name), bed.token(stable)
    action = bed.decided("end-manage-token", ending(bed, name))
    said = [finding.what for finding in action.plan.findings]
    assert f"Secret {stable} stays with its token, because pods read it." in said
    changes = {(each.name, each.change) for each in action.plan.changes}
    assert changes == {(stable, "update"), (f"{stable}-previous", "delete")}
    outcome = bed.run(action)
    assert outcome.state is State.SUCCEEDED, outcome
    assert bed.token(stable) == token
    assert not marked_ours(bed.secret(stable))
    assert not bed.has_secret(f"{stable}-previous")
    assert without_status(bed.deployment(name)) == without_status(before)
    assert pods == set(bed.pods(name))
    with pytest.raises(Conflict, match="was not deployed by this bot"):
        bed.rotate(name)
    with pytest.raises(Conflict, match="does not manage the token"):
        bed.plan("end-manage-token", ending(bed, name))
    with pytest.raises(Conflict, match="this bot did not make it"):
        bed.plan("manage-token", bed.managing(name))


def test_a_secret_that_no_pod_has_read_goes_when_the_bot_no_longer_keeps_the_token(
    bed: OthersBed,
) -> None:
    name = "edge-unread"
    bed.owner(name, "argo")
    before = bed.secret(name)
    assert bed.manage(name).state is State.SUCCEEDED
    assert bed.run(bed.decided("end-manage-token", ending(bed, name))).state is State.SUCCEEDED
    assert not bed.has_secret(f"{name}-managed-token")
    assert bed.secret(name) == before


def test_older_tokens_go_when_the_bot_no_longer_keeps_one_whose_reference_it_changes(
    bed: OthersBed,
) -> None:
    name = "edge-versions"
    bed.owner(name, "person")
    assert bed.manage(name).state is State.SUCCEEDED
    first = reference(bed.deployment(name))["name"]
    assert bed.rotate(name).state is State.SUCCEEDED
    second = reference(bed.deployment(name))["name"]
    assert bed.run(bed.decided("end-manage-token", ending(bed, name))).state is State.SUCCEEDED
    assert not bed.has_secret(first)
    assert bed.secret(second)["immutable"] is True
    assert not marked_ours(bed.secret(second))


@pytest.mark.parametrize("style", ["helm", "person"])
def test_once_the_gateway_is_adopted_what_the_bot_kept_of_others_goes_when_nothing_reads_it(
    bed: OthersBed, style: Style
) -> None:
    name = f"edge-adopted-{style}"
    if style == "helm":
        kept(bed, name, style)
    else:
        bed.owner(name, style)
        assert bed.manage(name).state is State.SUCCEEDED
    before = reference(bed.deployment(name))["name"]
    adopt(bed, name)
    assert bed.has_secret(before), "the way back"
    assert reference(bed.deployment(name))["name"] != before
    assert bed.rotate(name).state is State.SUCCEEDED
    assert not bed.has_secret(before)


def test_what_the_bot_kept_goes_with_the_gateway_that_it_has_adopted_since(bed: OthersBed) -> None:
    name = "edge-removed"
    kept(bed, name, "helm")
    adopt(bed, name)
    action = bed.decided("delete", RemovalRequest(bed.ref(name)))
    shown = {(each.kind, each.name) for each in action.plan.changes}
    assert ("Secret", f"{name}-managed-token") in shown
    assert bed.run(action).state is State.SUCCEEDED
    assert not bed.has_secret(f"{name}-managed-token")


def adopt(bed: OthersBed, name: str) -> None:
    """`/gateway adopt`, to its end."""
    found = adoption_of(
        bed.cluster, bed.ref(name), bed.rotation.instances, lambda _: ["edge-1"], gateway="edge-1"
    )
    outcome = bed.run(bed.decided("adopt", DeployRequest(found.spec, take_over=True)))
    assert outcome.state is State.SUCCEEDED, outcome
