"""From the options of a deployment to the spec that they ask for."""

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deploy.azure import ApimInstance, ArmClient
from deploy.commands import Command
from deploy.errors import Ambiguous, GatewayBotError, InvalidInput, NotFound
from deploy.gateway import GatewayRef
from deploy.images.catalogue import Catalogue
from deploy.images.support import sort_tags
from deploy.kube.cluster import Cluster
from deploy.observed.installed import carried_spec
from deploy.observed.inventory import tag_of
from deploy.plans.requests import DeployRequest
from deploy.specs.gateway_spec import GatewaySpec
from deploy.specs.overlay import (
    NEW,
    both,
    from_file,
    from_words,
    from_yaml,
    merged,
    patch_between,
    unpinned,
)
from deploy.specs.spec import spec_from_mapping, spec_to_mapping, with_pin
from deploy.specs.values import WrongValue
from handlers.actions.asking import listed
from handlers.slack.payloads import Request


@dataclass(frozen=True)
class Needs:
    """`image_repository` is what manifests name, `catalogue` knows its tags."""

    clusters: Mapping[str, Cluster]
    instances: Mapping[str, ApimInstance]
    arm: ArmClient
    catalogue: Catalogue
    image_repository: str


def gateway_of(needs: Needs, request: Request) -> tuple[ApimInstance, str]:
    """The gateway resource called as asked, or `instance/name`, wherever it is."""
    wanted, _, gateway = request.gateway.rpartition("/")
    instances = [
        i for i in needs.instances.values() if wanted.casefold() in ("", i.name.casefold())
    ]
    if not instances:
        raise NotFound(
            f"There is no API Management instance “{wanted}”.",
            remedy=f"This bot knows {', '.join(sorted(needs.instances))}.",
        )
    known = {i.name: [g.name for g in needs.arm.list_gateways(i)] for i in instances}
    found = [
        (i, name)
        for i in instances
        for name in known[i.name]
        if name.casefold() == gateway.casefold()
    ]
    if len(found) == 1:
        return found[0]
    if found:
        raise Ambiguous(
            f"Several API Management instances have a gateway “{gateway}”.",
            field="gateway",
            candidates=tuple(f"{i.name}/{name}" for i, name in found),
            remedy="Name it with its instance.",
        )
    every = sorted({g for names in known.values() for g in names})
    near = difflib.get_close_matches(gateway.lower(), every, n=1)
    raise NotFound(
        f"Azure API Management has no self-hosted gateway “{gateway[:80]}”.",
        meaning=f"It has {listed(every)}." if every else "It has no self-hosted gateways.",
        remedy=f"Did you mean {near[0]}?" if near else "Create it in the Azure portal first.",
    ).did_mean("gateway", *near)


def resource_at(needs: Needs, cluster: str, namespace: str, name: str) -> str:
    """The gateway resource, `instance/name`, of what this bot deployed there; empty where it did not."""
    ref = GatewayRef(cluster, namespace, name)
    live = needs.clusters[cluster].get("Deployment", namespace, name)
    spec = (carried_spec(live, ref) if live else None) or {}
    instance, gateway = (spec.get("apim") or {}).get("instance"), spec.get("gateway")
    return f"{instance}/{gateway}" if instance and gateway else ""


def request_of(
    needs: Needs, request: Request, ref: GatewayRef, instance: ApimInstance, gateway: str
) -> DeployRequest:
    """What the file says, or what runs already where this bot deployed it, changed by what was
    asked for: registry and endpoint stay as they are there."""
    options = request.options
    take_over = bool(options.get("take-over"))
    file = from_file(str(options["file"])) if "file" in options else {}
    before = dict(file) or _spec_before(needs.clusters, ref)
    mapping = before | {
        "gateway": gateway,
        "apim": {"instance": instance.name, "endpoint": instance.configuration_endpoint},
        "cluster": ref.cluster,
        "namespace": ref.namespace,
        "name": ref.name,
        "image": {
            **before.get("image", {}),
            "repository": needs.image_repository,
        },
    }
    tagged = with_pin({"image": {"tag": options["tag"]}})
    more, words = from_yaml(str(options.get("more", ""))), from_words(options.get("set", ()))
    mapping = merged(merged(mapping, tagged), _own(before, instance))
    spelled = both(more, words)
    _check_said_once(options, spelled)
    named = both(_named(options), spelled)
    mapping = unpinned(before, merged(mapping, named), both(tagged, named))
    try:
        spec = spec_from_mapping(instance.cloud.completed(mapping))
    except WrongValue as error:
        raise as_option(error, options) from error
    if file:
        return DeployRequest(spec, take_over, counts(options))
    # Also what is as it was: somebody else may change it before this is planned again.
    asked = both(patch_between(before, spec_to_mapping(spec)), both(tagged, named))
    # YAML has days, and JSON has none: a spec reads them as text too.
    plain = json.loads(json.dumps(asked, default=str))
    return DeployRequest(spec, take_over, counts(options), plain)


def _named(options: Mapping[str, Any]) -> dict[str, Any]:
    """What options of their own ask for, as a piece of a spec."""
    found: dict[str, Any] = {}
    if "replicas" in options:
        found["replicas"] = options["replicas"]
    if "service" in options:
        found["service"] = {"type": options["service"]}
    if "deadline" in options:
        found["rollout"] = {"progressDeadlineSeconds": options["deadline"]}
    resources = {name: options[name] for name in ("cpu", "memory") if name in options}
    return {**found, "resources": resources} if resources else found


def _check_said_once(options: Mapping[str, Any], spelled: Mapping[str, Any]) -> None:
    """InvalidInput where an option and a field of the spec, both typed, contradict each other."""
    for path, option in _ALSO_OPTIONS.items():
        found: Any = spelled
        for key in path.split("."):
            found = found.get(key) if isinstance(found, Mapping) else None
        if option in options and found is not None and str(found) != str(options[option]):
            raise InvalidInput(
                f"`--{option}` says {str(options[option])[:40]}, and {path} {str(found)[:40]}.",
                field=option,
                remedy="Leave one of them out.",
            )


_ALSO_OPTIONS = {
    "resources.cpu": "cpu",
    "resources.memory": "memory",
    "rollout.progressDeadlineSeconds": "deadline",
    "replicas": "replicas",
    "service.type": "service",
}
"""Fields of a spec that are also options. A tag is always given, and may be set to another."""
_OPTION_OF = {**_ALSO_OPTIONS, "image.tag": "tag", "name": "name"}
"""Fields of a spec that have an option of their own."""


def as_option(error: WrongValue, options: Mapping[str, Any]) -> WrongValue:
    """The same error about the option that the value was given with, where it was."""
    name = _OPTION_OF.get(error.field, "")
    return error.called(f"`--{name}`") if str(options.get(name)) == error.given else error


def counts(options: Mapping[str, Any]) -> bool:
    """Whether a number of pods was asked for."""
    said = (
        options,
        from_file(str(options["file"])) if "file" in options else {},
        from_yaml(str(options.get("more", ""))),
        from_words(options.get("set", ())),
    )
    return any("replicas" in each for each in said)


def _own(spec: Mapping[str, Any], instance: ApimInstance) -> dict[str, Any]:
    """What a spec says in place of the settings: another image, another name of the endpoint."""
    image, apim = spec.get("image") or {}, spec.get("apim") or {}
    own: dict[str, Any] = {}
    if image.get("repository"):
        own["image"] = {"repository": image["repository"]}
    if apim.get("endpoint") and apim.get("instance", instance.name) == instance.name:
        own["apim"] = {"endpoint": apim["endpoint"]}
    return own


def _spec_before(clusters: Mapping[str, Cluster], ref: GatewayRef) -> dict[str, Any]:
    """What a gateway that runs was deployed from, as far as that is known; else that of a new one."""
    live = clusters[ref.cluster].get("Deployment", ref.namespace, ref.name)
    return dict(NEW) if live is None else carried_spec(live, ref) or {}


def check_tag(needs: Needs, spec: GatewaySpec) -> None:
    """NotFound for a tag that neither its registry nor Microsoft's has, and that does not run already.

    A pull-through cache lists only what was pulled through it before. What cannot be looked up is the
    plan's to say, and a digest is pulled whatever its tag.
    """
    tags = None if spec.digest else needs.catalogue.stock(spec.repository, spec.tag).tags
    if tags is None or spec.tag in tags:
        return
    try:
        released = needs.catalogue.released()
    except GatewayBotError:
        return
    if spec.tag in released or spec.tag == _tag_now(needs.clusters, spec.ref):
        return
    known = dict.fromkeys((*tags, *released))
    # A version that is cut short begins like what was meant.
    near = [tag for tag in sort_tags(list(known)) if tag.startswith(spec.tag)][:3]
    near = near or difflib.get_close_matches(spec.tag, known, n=3, cutoff=0.5)
    raise NotFound(
        f"{spec.repository} has no tag “{spec.tag}”.",
        remedy=f"Did you mean {' or '.join(near)}?" if near else f"{Command('tags')} lists them.",
    ).did_mean("--tag", *near)


def _tag_now(clusters: Mapping[str, Cluster], ref: GatewayRef) -> str:
    live = clusters[ref.cluster].get("Deployment", ref.namespace, ref.name)
    return "" if live is None else tag_of(live)
