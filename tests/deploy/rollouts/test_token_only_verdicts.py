"""What is said of a restart that somebody took back: who, what the Secret holds, what to type."""

import pytest

from deploy.actions.action import State
from deploy.gateway import GatewayRef
from deploy.observed.managers import ARGO_CD, FLUX, Manager
from deploy.rollouts import token_only_verdicts as verdicts

REF = GatewayRef("west", "prod", "edge-1")
KUBECTL = "Restart the pods: `kubectl rollout restart deployment/edge-1 --namespace prod`."


@pytest.mark.parametrize(
    ("who", "named", "remedy"),
    [
        (Manager(FLUX, "Kustomization", "apps", "flux"), "Flux (Kustomization flux/apps)", KUBECTL),
        (Manager("my-pipeline"), "my-pipeline", KUBECTL),
        (Manager(ARGO_CD), "Argo CD", KUBECTL),
        (
            Manager(ARGO_CD, "application", "edge"),
            "Argo CD (application edge)",
            "Restart the pods: `argocd app actions run edge restart --kind Deployment "
            "--resource-name edge-1 --namespace prod`.",
        ),
    ],
)
def test_who_refused_the_restart_is_named_with_the_command_that_restarts(
    who: Manager, named: str, remedy: str
) -> None:
    outcome = verdicts.restart_refused(REF, "S", who)
    assert outcome.state is State.FAILED
    assert (outcome.happened, outcome.remedy) == (f"Restart refused by {named}.", remedy)
    assert "Secret S has the new token" in outcome.meaning


def test_a_restart_that_is_refused_on_the_way_back_leaves_the_previous_token_in_the_secret() -> (
    None
):
    outcome = verdicts.restart_refused(REF, "S", Manager(FLUX), back=True)
    assert "Secret S has the previous token again" in outcome.meaning
