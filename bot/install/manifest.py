"""`gateway-bot k8s-manifest`: all that `kubectl apply` needs to run the bot, in order."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from bot.install.access import own_cluster, patterns_of, rights_on, service_account
from bot.install.configuration import Configuration, config_map, configuration
from bot.install.installation import Installation
from bot.install.network import assumed_redis_ports, ingress, is_served, network_policy, service
from bot.install.secret_needs import secret_needs
from bot.install.workload import deployment, disruption_budget
from bot.settings import ClusterSettings, Settings, load_settings
from deploy.errors import InvalidInput
from deploy.kube.objects import Manifest


def print_manifest(
    config: Path, installation: Installation, cluster: str | None, user: str | None
) -> int:
    """Print what installs the bot, or with `cluster` what it may do on another one."""
    installation.checked()
    settings = load_settings(config)
    if cluster is not None:
        named = _named(settings, cluster)
        objects = rights_elsewhere(settings, named, installation, user)
        said = missing_roles(settings, named)
    else:
        found = configuration(settings, config.read_text(encoding="utf-8"))
        objects = manifest(settings, found, installation)
        said = _notes(settings, found, installation)
    sys.stdout.writelines(f"# {line}\n" for line in said)
    sys.stdout.write(as_yaml(objects))
    return 0


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines, such as the settings, as they are."""

    def ignore_aliases(self, data: Any) -> bool:
        """Labels that stand in several places are written in each."""
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def as_yaml(objects: Sequence[Manifest]) -> str:
    """The objects as the documents of one file."""
    return yaml.dump_all(
        objects, Dumper=_Dumper, sort_keys=False, width=100, explicit_start=True, allow_unicode=True
    )


def manifest(
    settings: Settings, found: Configuration, installation: Installation
) -> list[Manifest]:
    """Everything in the cluster that the bot runs in."""
    here = own_cluster(settings)
    objects = [
        service_account(settings, installation),
        *(rights_on(here, settings, installation) if here is not None else ()),
        config_map(found, installation),
        network_policy(settings, installation),
        disruption_budget(installation),
    ]
    if is_served(settings):
        objects.append(service(settings, installation))
        if installation.host is not None:
            objects.append(ingress(settings, installation, installation.host))
    return [*objects, deployment(settings, found, installation)]


def rights_elsewhere(
    settings: Settings, cluster: ClusterSettings, installation: Installation, user: str | None
) -> list[Manifest]:
    """What a kubeconfig of the bot may do on a cluster that it does not run in: as that user, or as
    a ServiceAccount there."""
    account: list[Manifest] = []
    if user is None:
        metadata = installation.metadata()
        account.append({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
    return [*account, *rights_on(cluster, settings, installation, user)]


def missing_roles(settings: Settings, cluster: ClusterSettings) -> list[str]:
    """What to know of namespaces that the settings do not name."""
    patterns = patterns_of(cluster, settings)
    if not patterns:
        return []
    return [
        f"Environments match {', '.join(patterns)} on cluster {cluster.name}. In namespaces without",
        "a Role below the bot changes nothing; add --gateway-namespace NAME for each of them.",
    ]


def _notes(settings: Settings, found: Configuration, installation: Installation) -> list[str]:
    needs = secret_needs(settings)
    notes = [
        f"Needs the Secret {installation.secret} in namespace {installation.namespace}, with:",
        *(f"  {need.variable}: {need.what}" for need in needs if need.required),
    ]
    optional = [need.variable for need in needs if not need.required]
    if optional:
        notes.append(f"and, where wanted: {', '.join(optional)}.")
    if found.files:
        keys = ", ".join(file.name for file in found.files)
        notes.append(f"Needs the Secret {installation.files} there, with: {keys}.")
    if is_served(settings) and installation.host is None:
        notes.append("No Ingress: give --host NAME for one, or terminate TLS in your own.")
    assumed = () if installation.redis_ports else assumed_redis_ports(settings)
    if assumed:
        shown = ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in assumed)
        notes += [
            f"Redis ports {shown} are assumed and opened; if yours differ,",
            "give all of them with --redis-port.",
        ]
    here = own_cluster(settings)
    others = [cluster.name for cluster in settings.clusters if cluster is not here]
    notes += [f"Rights on cluster {name}: add --cluster {name}." for name in others]
    return [*notes, *(missing_roles(settings, here) if here is not None else ())]


def _named(settings: Settings, name: str) -> ClusterSettings:
    known: Sequence[str] = [cluster.name for cluster in settings.clusters]
    found = next((cluster for cluster in settings.clusters if cluster.name == name), None)
    if found is None:
        raise InvalidInput(
            f"There is no cluster “{name}” in the settings.",
            remedy=f"There are {', '.join(known)}.",
        )
    return found
