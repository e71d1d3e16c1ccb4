"""Clusters that are not the sandbox's own: which context stands for which, and their namespaces."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from bot.sandbox.node.api import Access, Api, ApiError

_SCHEDULER_LEASE = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/kube-scheduler"


async def prepare(kubeconfig: Path, clusters: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Each world cluster's context: the one of its name, else the current one for the first.

    Namespaces that are absent are made. ValueError when the file has no context to use.
    """
    try:
        listed: Any = yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ValueError(f"{kubeconfig} is not YAML: {error}") from error
    if not isinstance(listed, dict):
        raise ValueError(f"{kubeconfig} is no kubeconfig")
    names = {item["name"] for item in listed.get("contexts") or []}
    contexts = {name: name for name in clusters if name in names}
    current: Any = listed.get("current-context")
    if not contexts:
        if current not in names:
            raise ValueError(f"{kubeconfig} has no current context")
        contexts = {next(iter(clusters)): current}
    for name, context in contexts.items():
        await _make_namespaces(kubeconfig, context, clusters[name])
    return contexts


async def _make_namespaces(kubeconfig: Path, context: str, namespaces: Sequence[str]) -> None:
    api = Api(Access.from_kubeconfig(kubeconfig, context))
    await api.open()
    try:
        for namespace in namespaces:
            try:
                await api.post("/api/v1/namespaces", {"metadata": {"name": namespace}})
            except ApiError as error:
                if error.reason != "AlreadyExists":
                    raise
    finally:
        await api.close()


async def lacks_scheduler(kubeconfig: Path, context: str) -> bool:
    """Whether nothing on that cluster binds pods: no scheduler has ever led there."""
    api = Api(Access.from_kubeconfig(kubeconfig, context))
    await api.open()
    try:
        await api.get(_SCHEDULER_LEASE)
    except ApiError as error:
        if error.status == 404:
            return True
        raise
    finally:
        await api.close()
    return False
