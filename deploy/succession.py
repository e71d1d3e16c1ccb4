"""What a Deployment must say only because of what it follows. Pure.

A field that an apply leaves out falls back to its default, or to a copy that Kubernetes keeps. Where
that is not what is meant, the Deployment says the field for as long as the cluster remembers it.
"""

from deploy.gateway import GatewaySpec
from deploy.plan import Manifest


def following(
    objects: tuple[Manifest, ...], spec: GatewaySpec, live: Manifest | None, manager: str
) -> tuple[Manifest, ...]:
    """The objects, their Deployment following `live`; `manager` is who applies it."""
    if live is None:
        return objects
    return tuple(
        _following(manifest, spec, live, manager) if manifest["kind"] == "Deployment" else manifest
        for manifest in objects
    )


def _following(wanted: Manifest, spec: GatewaySpec, live: Manifest, manager: str) -> Manifest:
    deployment = dict(wanted["spec"])
    if spec.autoscaling.most is not None and _owns_replicas(live, manager):
        # Left out it would become one pod, until the autoscaler first looks. Its first change of
        # the number makes it the owner.
        deployment["replicas"] = max(live["spec"]["replicas"], spec.autoscaling.least)
    template = deployment["template"]
    pod = template["spec"]
    if "serviceAccountName" not in pod and live["spec"]["template"]["spec"].get("serviceAccount"):
        # The old name of the field, which Kubernetes fills in, would bring the account back.
        pod = {**pod, "serviceAccountName": "default"}
    return {**wanted, "spec": {**deployment, "template": {**template, "spec": pod}}}


def _owns_replicas(live: Manifest, manager: str) -> bool:
    return any(
        entry.get("manager") == manager
        and entry.get("operation") == "Apply"
        and "f:replicas" in (entry.get("fieldsV1") or {}).get("f:spec", {})
        for entry in live["metadata"].get("managedFields") or ()
    )
