"""Whether a pod's volumes could be mounted: claims bound, Secrets and ConfigMaps present."""

from bot.sandbox.node.api import Api, ApiError, Json
from bot.sandbox.node.environment import read_data


async def mount_problem(api: Api, pod: Json) -> str | None:
    """What the FailedMount event would say, or None when everything is there."""
    namespace = pod["metadata"]["namespace"]
    for volume in pod["spec"].get("volumes") or []:
        name = volume["name"]
        if "persistentVolumeClaim" in volume:
            claim = volume["persistentVolumeClaim"]["claimName"]
            problem = await _claim_problem(api, namespace, claim)
            if problem is not None:
                return f"Unable to attach or mount volumes: unmounted volumes=[{name}]: {problem}"
        for kind, plural, key in (
            ("secret", "secrets", "secretName"),
            ("configMap", "configmaps", "name"),
        ):
            source = volume.get(kind)
            if source is None or source.get("optional"):
                continue
            if await read_data(api, namespace, plural, source[key]) is None:
                missing = f'{plural[:-1]} "{source[key]}" not found'
                return f'MountVolume.SetUp failed for volume "{name}" : {missing}'
    return None


def claims_by_path(pod: Json, container: Json) -> dict[str, str]:
    """Mount path -> `namespace/claim` of the claims this container mounts."""
    claims = {
        volume["name"]: volume["persistentVolumeClaim"]["claimName"]
        for volume in pod["spec"].get("volumes") or []
        if "persistentVolumeClaim" in volume
    }
    namespace = pod["metadata"]["namespace"]
    return {
        str(mount["mountPath"]).rstrip("/"): f"{namespace}/{claims[mount['name']]}"
        for mount in container.get("volumeMounts") or []
        if mount["name"] in claims
    }


async def _claim_problem(api: Api, namespace: str, claim: str) -> str | None:
    processing = f"error processing PVC {namespace}/{claim}"
    try:
        found = await api.get(f"/api/v1/namespaces/{namespace}/persistentvolumeclaims/{claim}")
    except ApiError as problem:
        if problem.status == 404:
            return (
                f"{processing}: failed to fetch PVC from API server: "
                f'persistentvolumeclaims "{claim}" not found'
            )
        raise
    if (found.get("status") or {}).get("phase") != "Bound":
        return f"{processing}: PVC is not bound"
    return None
