"""What an admission webhook made of the image that this bot wrote, as a mirror's or a digest. Pure.

The API server keeps no record of what was asked for, so the pair is an annotation of the Deployment,
which Kubernetes copies to the ReplicaSet of that revision. It is of the Deployment, not of its pods:
writing it starts none, and where nothing rewrites images it is not there.
"""

import json

from deploy.annotations import REWRITTEN_ANNOTATION
from deploy.kube.objects import Manifest
from deploy.observed.inventory import container_of


def rewriting(wanted: Manifest, admitted: Manifest) -> str:
    """The note that a Deployment lacks once it was admitted, or empty."""
    written, made = (str(container_of(item).get("image", "")) for item in (wanted, admitted))
    if written == made or is_image(admitted, written, made):
        return ""
    return json.dumps({"written": written, "admitted": made})


def is_image(item: Manifest, written: str, found: str) -> bool:
    """Whether the image that is found in a Deployment or ReplicaSet is the one that was written, or
    what was made of it when that was admitted."""
    if written == found:
        return True
    noted = (item["metadata"].get("annotations") or {}).get(REWRITTEN_ANNOTATION, "{}")
    try:
        known = json.loads(noted)
    except ValueError:
        return False
    return bool(known == {"written": written, "admitted": found})
