"""What the verb `deploy` asks for, without a bot around it."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from deploy.azure import ApimInstance
from deploy.images.catalogue import Stock
from deploy.kube.objects import Manifest
from deploy.kube.places import Places
from deploy.plans.requests import DeployRequest
from handlers.slack.payloads import Request
from handlers.verbs.deploy import VERB, Needs
from tests.support.gateway_bed import INSTANCE

OFFICIAL = "mcr.microsoft.com/azure-api-management/gateway"


@dataclasses.dataclass(frozen=True)
class Showing:
    """A cluster of which one Deployment is known, or that there is none."""

    live: Manifest | None
    places: Places = dataclasses.field(default_factory=lambda: Places("west"))

    def get(self, kind: str, namespace: str, name: str) -> Manifest | None:
        """It, whatever is asked for."""
        return self.live


def deploy_asked(
    cluster: Any,
    to: str = "",
    *,
    gateway: str,
    instances: Mapping[str, ApimInstance] | None = None,
    tags: Sequence[str] = ("2.11.1", "2.12.1"),
    mirrored: Mapping[str, Sequence[str]] | None = None,
    released: Callable[[], Sequence[str]] | None = None,
    **options: Any,
) -> DeployRequest:
    """The request that it proposes. `cluster` is asked for what runs; `tags` are Microsoft's, `mirrored`
    those of other registries that can be read."""
    seen: list[DeployRequest] = []
    listed = {OFFICIAL: tags, **(mirrored or {})}

    def stock(repository: str, tag: str) -> Stock:
        found = listed.get(repository)
        return Stock(None if found is None else tuple(found))

    def propose(ask: Any) -> Any:
        seen.append(ask.request)
        return SimpleNamespace(action=object())

    nothing: dict[str, Any] = dict.fromkeys(field.name for field in dataclasses.fields(Needs))
    given = {
        "proposer": SimpleNamespace(propose=propose),
        "clusters": {"west": cluster},
        "instances": instances or {"contoso": INSTANCE},
        "arm": SimpleNamespace(list_gateways=lambda instance: [SimpleNamespace(name="edge-1")]),
        "catalogue": SimpleNamespace(stock=stock, released=released or (lambda: tags)),
        "image_repository": OFFICIAL,
    }
    request = Request(
        "r1",
        "deploy",
        "U1",
        "C1",
        gateway=gateway,
        options={"to": to, **options} if to else options,
    )
    VERB.run(Needs(**(nothing | given)), request)
    (wanted,) = seen
    return wanted
