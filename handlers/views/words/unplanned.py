"""Why several gateways of one command are not planned, by the id of the reason that they share."""

from collections.abc import Mapping

from deploy.errors import DeployedByOthers

KIND, EXPIRY = "kind", "expiry-unknown"

OF_SEVERAL: Mapping[str, str] = {
    DeployedByOthers.reason: "not deployed by this bot. `/gateway manage-token NAME` keeps only the "
    "token of one valid; `/gateway adopt NAME` puts all of it under this bot and keeps what runs.",
    KIND: "no Deployments, and this bot changes nothing else.",
    EXPIRY: "their tokens' expiry is not known.",
}
"""Each completes a list of names and a colon."""
