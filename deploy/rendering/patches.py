"""What a change of a gateway is where something else declares it: a patch or chart values. Pure.

The form of `patches` is that of kustomize (kubectl.docs.kubernetes.io, "patches"), which Flux's
Kustomization and Argo CD's Application take too; a patch in it is a strategic merge patch (Kubernetes,
"Update API Objects in Place Using kubectl patch"). The values are those of the official chart,
azure-api-management-gateway 1.16 (Azure/api-management-self-hosted-gateway, helm-charts, values.yaml).
All looked up 2026-11-29.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from deploy.commands import Command
from deploy.errors import InvalidInput
from deploy.kube.objects import Manifest
from deploy.rendering.manifests import render
from deploy.specs.gateway_spec import GatewaySpec
from deploy.specs.spec import spec_default, spec_to_mapping

_BY_NAME = ("containers", "env", "volumes", "imagePullSecrets")
"""Lists that a strategic merge patch merges by the names of their items."""
_CHART_VALUES: Mapping[str, str] = {
    "image.repository": "image.repository",
    "image.tag": "image.tag",
    "image.pullPolicy": "image.pullPolicy",
    "replicas": "replicaCount",
    "apim.endpoint": "gateway.configuration.uri",
    "resources.cpu": "resources.requests.cpu",
    "resources.memory": "resources.requests.memory",
    "resources.limits.cpu": "resources.limits.cpu",
    "resources.limits.memory": "resources.limits.memory",
    "rollout.terminationGracePeriodSeconds": "gateway.deployment.terminationGracePeriodSeconds",
    "rollout.maxUnavailable": "gateway.deployment.strategy.rollingUpdate.maxUnavailable",
    "rollout.maxSurge": "gateway.deployment.strategy.rollingUpdate.maxSurge",
    "logs.level": "observability.logs.std.level",
    "logs.format": "observability.logs.std.format",
    "metrics.cloud": "observability.azureMonitor.metrics.enabled",
    "service.type": "service.type",
    "service.httpPort": "service.ports.http",
    "service.httpsPort": "service.ports.https",
}
_SELF = ("gateway", "apim.instance", "cluster", "namespace", "name")


@dataclass(frozen=True)
class Declared:
    """What something else declares: the names of variables that stand in the Deployment itself, and
    whether the container takes a ConfigMap whole, and has a limit of memory."""

    variables: Collection[str] = ()
    config_map: bool = True
    memory_limit: bool = True


def kustomize_patches(before: GatewaySpec, after: GatewaySpec, declared: Declared) -> str:
    """What to add to a kustomization, so that the gateway becomes as `after` says.

    InvalidInput where nothing changes, or what changes is not a field of an object that is there.
    """
    old, new = _by_name(render(before, None)), _by_name(render(after, None))
    if set(old) != set(new):
        added = ", ".join(f"{kind} {name}" for kind, name in sorted(set(old) ^ set(new)))
        raise InvalidInput(
            f"A patch cannot add or remove objects: {added}.",
            remedy=f"Put the object into the repository by hand; {Command('export', after.ref)} shows it.",
        )
    patches = {key: _differs(_plain(old[key]), _plain(new[key])) or {} for key in new}
    _move_settings(patches, after, declared)
    if not declared.memory_limit:
        _drop_limit(patches["Deployment", after.ref.name])
    found = [
        {
            "target": {"kind": kind, "name": name},
            "patch": _text(
                {
                    "apiVersion": new[kind, name]["apiVersion"],
                    "kind": kind,
                    "metadata": {"name": name},
                    **patch,
                }
            ),
        }
        for (kind, name), patch in patches.items()
        if patch
    ]
    if not found:
        raise _nothing()
    head = (
        f"# {after.ref}\n# Add this to its kustomization.yaml. Flux's Kustomization (spec.patches) and "
        "Argo CD's\n# Application (spec.source.kustomize.patches) take the same.\n"
    )
    return head + yaml.dump({"patches": found}, Dumper=_Blocks, sort_keys=False, width=100)


def _pinned(values: dict[str, Any]) -> dict[str, Any]:
    """The digest behind the tag: the chart joins repository and tag alone."""
    digest = values.pop("image.digest", None)
    return values | ({"image.tag": f"{values['image.tag']}@{digest}"} if digest else {})


def chart_values(before: GatewaySpec | None, after: GatewaySpec, secret: tuple[str, str]) -> str:
    """The values of the official chart that make the gateway what `after` says: those that differ
    from `before`, or all where there is none. `secret` is name and key of what holds its token.

    InvalidInput where nothing changes, or the chart has no value for what changes.
    """
    wanted = _pinned(_flat(spec_to_mapping(after)))
    known = _pinned(_flat(spec_to_mapping(before))) if before is not None else {}
    changed = {path: value for path, value in wanted.items() if known.get(path) != value}
    gone = set(known) - set(wanted)
    missing = sorted(p for p in (*changed, *gone) if p not in _CHART_VALUES and p not in _SELF)
    head = f"# {after.ref}: values of the chart azure-api-management-gateway.\n"
    if before is not None:
        if missing:
            raise InvalidInput(
                f"The official chart has no value for {', '.join(missing)}.",
                remedy=(
                    "Use `--for kustomize`: it gives a patch that Helm can apply with a "
                    "post-renderer."
                ),
            )
        # The chart's own defaults are others: a value that is ours by default is said too.
        changed |= {path: spec_default(path) for path in sorted(gone)}
        if not changed:
            raise _nothing()
    elif missing:
        head += f"# The chart has no value for: {', '.join(missing)}.\n"
    values: dict[str, Any] = {}
    for path, value in changed.items():
        if path in _CHART_VALUES:
            _put(values, _CHART_VALUES[path].split("."), value)
    if before is None and secret[0]:
        values["secret"] = {"createSecret": False, "existingSecretName": secret[0]}
        head += "# The token is not here: the chart reads it from that Secret, key gateway-key.\n"
        if secret[1] != "gateway-key":
            head += f"# Today it stands under the key {secret[1]}: copy it to gateway-key first.\n"
    return head + yaml.safe_dump(values, sort_keys=False, width=100)


def _nothing() -> InvalidInput:
    return InvalidInput(
        "Nothing would change.",
        remedy="Add what you want to change: `--tag`, `--replicas`, `--cpu`, `--memory` or `--set`.",
    )


def _by_name(objects: Sequence[Manifest]) -> dict[tuple[str, str], Manifest]:
    return {(each["kind"], each["metadata"]["name"]): each for each in objects}


def _plain(manifest: Manifest) -> Manifest:
    """Without what this bot alone writes: the spec and the hash of the settings."""
    plain = {key: value for key, value in manifest.items() if key != "metadata"}
    spec = plain.get("spec")
    if manifest["kind"] != "Deployment" or spec is None:
        return plain
    template = {key: value for key, value in spec["template"].items() if key != "metadata"}
    return {**plain, "spec": {**spec, "template": template}}


def _differs(old: Any, new: Any, key: str = "") -> Any:
    """The strategic merge patch from one to the other; None where they are the same."""
    if old == new:
        return None
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        changed = {k: _differs(old.get(k), v, k) for k, v in new.items() if old.get(k) != v}
        return {**changed, **{k: None for k in old if k not in new}}
    if isinstance(new, list) and key in _BY_NAME:
        return _items(old or [], new)
    if isinstance(new, list) and any(isinstance(item, Mapping) for item in new):
        return [*new, {"$patch": "replace"}]
    return new


def _items(old: Sequence[Any], new: Sequence[Any]) -> list[Any]:
    known = {item["name"]: item for item in old}
    kept = {item["name"] for item in new}
    changed = [
        {"name": item["name"], **(_differs(known.get(item["name"], {}), item) or {})}
        for item in new
        if known.get(item["name"]) != item
    ]
    return [*changed, *({"name": name, "$patch": "delete"} for name in known if name not in kept)]


def _move_settings(
    patches: dict[tuple[str, str], dict[str, Any]], after: GatewaySpec, declared: Declared
) -> None:
    """Settings that stand in the Deployment itself are changed there: a variable wins over a
    ConfigMap."""
    key = next(key for key in patches if key[0] == "ConfigMap")
    data = dict(patches[key].get("data") or {})
    inline = {
        name: data.pop(name)
        for name in list(data)
        if name in declared.variables or not declared.config_map
    }
    patches[key] = {"data": data} if data else {}
    if not inline:
        return
    deployment = patches["Deployment", after.ref.name]
    container = after.objects.container or after.ref.name
    env = [
        {"name": name, "value": value} if value is not None else {"name": name, "$patch": "delete"}
        for name, value in inline.items()
    ]
    pod = deployment.setdefault("spec", {}).setdefault("template", {}).setdefault("spec", {})
    containers: list[dict[str, Any]] = pod.setdefault("containers", [])
    found = next((each for each in containers if each["name"] == container), None)
    if found is None:
        found = {"name": container}
        containers.append(found)
    found["env"] = [*found.get("env", []), *env]


def _drop_limit(deployment: dict[str, Any]) -> None:
    """No limit of memory where there was none: that a request changes is not a reason for one."""
    pod = ((deployment.get("spec") or {}).get("template") or {}).get("spec") or {}
    for container in pod.get("containers") or ():
        limits = (container.get("resources") or {}).get("limits") or {}
        limits.pop("memory", None)
        if "limits" in container.get("resources", {}) and not limits:
            del container["resources"]["limits"]


def _flat(mapping: Mapping[str, Any], under: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in mapping.items():
        path = f"{under}.{key}" if under else str(key)
        if path in ("objects", "version"):
            continue
        found |= _flat(value, path) if isinstance(value, Mapping) else {path: value}
    return found


def _put(values: dict[str, Any], path: Sequence[str], value: Any) -> None:
    for step in path[:-1]:
        values = values.setdefault(step, {})
    values[path[-1]] = value


class _Blocks(yaml.SafeDumper):
    """Writes text of several lines as a block, as people do in a kustomization."""


def _block(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Blocks.add_representer(str, _block)


def _text(patch: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(patch), sort_keys=False, width=100)
