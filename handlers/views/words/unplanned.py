"""Why several gateways of one command are not planned, by the id of the reason that they share."""

from collections.abc import Mapping

from deploy.errors import DeployedByOthers

KIND, EXPIRY = "kind", "expiry-unknown"

OF_SEVERAL: Mapping[str, str] = {
    DeployedByOthers.reason: "not deployed by this bot. To let it manage only a gateway's token, use "
    "`/gateway manage-token NAME`. To let it manage the whole gateway, where no tool such as "
    "Argo CD or Flux undoes changes, use `/gateway adopt NAME`.",
    KIND: "no Deployments, and this bot changes nothing else.",
    EXPIRY: "their tokens' expiry is not known.",
}
"""Each completes a list of names and a colon."""
