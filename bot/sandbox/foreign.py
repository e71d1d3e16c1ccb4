"""Clusters that are not the sandbox's own: which context stands for which, and their namespaces."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException


def prepare(kubeconfig: Path, clusters: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Each world cluster's context: the one of its name, else the current one for the first.

    Namespaces that are absent are made. ValueError when the file has no context to use.
    """
    listed = yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))
    names = {item["name"] for item in listed.get("contexts") or []}
    contexts = {name: name for name in clusters if name in names}
    current = listed.get("current-context")
    if not contexts:
        if current not in names:
            raise ValueError(f"{kubeconfig} has no current context")
        contexts = {next(iter(clusters)): current}
    for name, context in contexts.items():
        api = client.CoreV1Api(config.new_client_from_config(str(kubeconfig), context=context))
        for namespace in clusters[name]:
            try:
                api.create_namespace({"metadata": {"name": namespace}}, _request_timeout=20)
            except ApiException as error:
                if error.status != 409:
                    raise
    return contexts
