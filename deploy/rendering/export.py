"""A deployed gateway as YAML that kubectl and kustomize take. Pure."""

import yaml

from deploy.observed.installed import Installed
from deploy.observed.pods import token_secret_of
from deploy.rendering.manifests import render


def exported(gateway: Installed) -> str:
    """Every object but the token's Secret, whose name the Deployment keeps."""
    used = token_secret_of(gateway.deployment["spec"]["template"]["spec"])
    ref = gateway.spec.ref
    head = f"# {ref}\n"
    if used is not None:
        head += (
            f"# The gateway's token is not here. The pods read it from Secret {used[0]}, "
            f"key {used[1]}.\n"
        )
    objects = render(gateway.spec, used[0] if used else None)
    return head + yaml.safe_dump_all(objects, sort_keys=False, width=100)
