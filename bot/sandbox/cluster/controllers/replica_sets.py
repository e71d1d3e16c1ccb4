"""A Deployment's ReplicaSets: finding, making, resizing and removing them."""

from bot.sandbox.cluster.api import Api
from bot.sandbox.cluster.controllers import rollout
from bot.sandbox.cluster.controllers.events import Recorder
from bot.sandbox.cluster.decoding import Options
from bot.sandbox.cluster.deletion import delete
from bot.sandbox.cluster.kinds import REPLICA_SET
from bot.sandbox.cluster.objects import (
    Obj,
    annotations_of,
    controller_of,
    copy,
    get,
    is_terminating,
    labels_of,
    name_of,
    namespace_of,
    owner_reference,
    uid_of,
)
from bot.sandbox.cluster.selectors import selects

MANAGER = "kube-controller-manager"


class ReplicaSets:
    """What the deployment controller does to ReplicaSets, with the events it tells of them."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._events = Recorder(api, "deployment-controller")

    def owned(self, deployment: Obj) -> list[Obj]:
        """The Deployment's ReplicaSets; orphans its selector chooses are adopted."""
        found = []
        for rs in self._api.store.all(REPLICA_SET, namespace_of(deployment)):
            owner = controller_of(rs)
            if owner is not None:
                if owner["uid"] == uid_of(deployment):
                    found.append(rs)
            elif selects(get(deployment, "spec", "selector"), rs) and not is_terminating(rs):
                adopted = copy(rs)
                adopted["metadata"]["ownerReferences"] = [owner_reference(deployment)]
                found.append(self._api.store.put(REPLICA_SET, adopted))
        return found

    def split(self, deployment: Obj, sets: list[Obj]) -> tuple[Obj | None, list[Obj]]:
        """The ReplicaSet of the current template, and the others."""
        same = sorted(
            (rs for rs in sets if rollout.same_template(rs, deployment)),
            key=lambda rs: (rs["metadata"]["creationTimestamp"], name_of(rs)),
        )
        new = same[0] if same else None
        return new, [rs for rs in sets if new is None or uid_of(rs) != uid_of(new)]

    def create(self, deployment: Obj, old: list[Obj], revision: int) -> Obj:
        """Make the ReplicaSet of the current template. ApiError when that is refused."""
        template = copy(get(deployment, "spec", "template"))
        digest = rollout.template_hash(template)
        template["metadata"].setdefault("labels", {})[rollout.HASH_LABEL] = digest
        selector = copy(get(deployment, "spec", "selector"))
        selector.setdefault("matchLabels", {})[rollout.HASH_LABEL] = digest
        spec: Obj = {"replicas": 0, "selector": selector, "template": template}
        if get(deployment, "spec", "minReadySeconds"):
            spec["minReadySeconds"] = deployment["spec"]["minReadySeconds"]
        new: Obj = {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "metadata": {
                "name": f"{name_of(deployment)}-{digest}",
                "labels": dict(labels_of(template)),
                "annotations": {
                    **_copied(deployment),
                    rollout.REVISION: str(revision),
                    **_sizes(deployment),
                },
                "ownerReferences": [owner_reference(deployment)],
            },
            "spec": spec,
        }
        spec["replicas"] = rollout.new_replicas(deployment, [*old, new], new)
        made = self._api.create(
            REPLICA_SET, namespace_of(deployment), new, Options(manager=MANAGER)
        )
        if spec["replicas"] > 0:
            self._events.normal(
                deployment,
                "ScalingReplicaSet",
                f"Scaled up replica set {name_of(made)} from 0 to {spec['replicas']}",
            )
        return made

    def annotate(self, deployment: Obj, new: Obj, revision: int) -> Obj:
        """Give the new ReplicaSet the Deployment's annotations and, when it comes back, its new
        revision."""
        changed = copy(new)
        annotations = changed["metadata"].setdefault("annotations", {})
        annotations.update(_copied(deployment))
        before = revision_of(new)
        if before < revision:
            annotations[rollout.REVISION] = str(revision)
            if before:
                history = annotations.get(rollout.REVISION_HISTORY, "")
                annotations[rollout.REVISION_HISTORY] = ",".join(
                    filter(None, (history, str(before)))
                )
        wait = get(deployment, "spec", "minReadySeconds", default=0)
        if wait:
            changed["spec"]["minReadySeconds"] = wait
        else:
            changed["spec"].pop("minReadySeconds", None)
        return self._update(changed) if changed != new else new

    def resize(self, deployment: Obj, rs: Obj, size: int) -> Obj:
        """Give a ReplicaSet its new size and tell of it."""
        changed = copy(rs)
        before = rollout.replicas_of(rs)
        changed["spec"]["replicas"] = size
        changed["metadata"].setdefault("annotations", {}).update(_sizes(deployment))
        if changed == rs:
            return rs
        stored = self._update(changed)
        if size != before:
            way = "up" if size > before else "down"
            self._events.normal(
                deployment,
                "ScalingReplicaSet",
                f"Scaled {way} replica set {name_of(rs)} from {before} to {size}",
            )
        return stored

    def clean_up(self, deployment: Obj, old: list[Obj]) -> list[Obj]:
        """Delete the oldest empty ones beyond the history limit; those that stay are returned."""
        limit = get(deployment, "spec", "revisionHistoryLimit")
        if limit is None:
            return old
        ordered = sorted((rs for rs in old if not is_terminating(rs)), key=revision_of)
        doomed = [
            rs
            for rs in ordered[: max(len(ordered) - limit, 0)]
            if not rollout.replicas_of(rs)
            and not get(rs, "status", "replicas")
            and rs["metadata"]["generation"] <= get(rs, "status", "observedGeneration", default=0)
        ]
        for rs in doomed:
            delete(self._api, REPLICA_SET, namespace_of(rs), name_of(rs))
        gone = {uid_of(rs) for rs in doomed}
        return [rs for rs in old if uid_of(rs) not in gone]

    def _update(self, rs: Obj) -> Obj:
        return self._api.update(
            REPLICA_SET, namespace_of(rs), name_of(rs), rs, Options(manager=MANAGER)
        )


def revision_of(rs: Obj) -> int:
    """The revision a ReplicaSet was last rolled out as; 0 for none."""
    text = annotations_of(rs).get(rollout.REVISION, "0")
    return int(text) if text.isdigit() else 0


def _copied(deployment: Obj) -> dict[str, str]:
    return {k: v for k, v in annotations_of(deployment).items() if k not in rollout.NOT_COPIED}


def _sizes(deployment: Obj) -> dict[str, str]:
    wanted = rollout.replicas_of(deployment)
    return {
        rollout.DESIRED: str(wanted),
        rollout.MAX: str(wanted + rollout.fenceposts(deployment)[0]),
    }
