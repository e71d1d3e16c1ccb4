"""`gateway-bot render`: the manifests of a spec, for reading or for `kubectl`."""

import sys
from pathlib import Path

import yaml

from deploy.commands import Command
from deploy.errors import InvalidInput
from deploy.rendering.manifests import render as manifests
from deploy.specs.spec import parse_spec_yaml
from deploy.specs.token_spec import token_spec_from_yaml


def render(path: Path) -> int:
    """Print every manifest but the token's Secret, which is made when a token is minted."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InvalidInput(f"The spec {path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise InvalidInput(f"The spec {path} is not UTF-8.") from error
    managed = token_spec_from_yaml(text)
    if managed is not None:
        raise InvalidInput(
            f"The spec {path} has no manifests, because it sets `manage: token`.",
            meaning=f"Others deploy {managed.ref}, and the bot only keeps its token.",
            remedy=f"{Command('export', managed.ref)} shows what runs there.",
        )
    spec = parse_spec_yaml(text)
    secret = f"{spec.ref.name}-token" if spec.auth.kind == "token" else None
    yaml.safe_dump_all(manifests(spec, secret), sys.stdout, sort_keys=False, width=100)
    return 0
