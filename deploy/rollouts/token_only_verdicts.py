"""How giving a new token to a gateway of others ended, in words, where it ends as no rotation does."""

from deploy.actions.action import Outcome, State
from deploy.gateway import GatewayRef
from deploy.observed.managers import ARGO_CD, Manager
from deploy.tokens.token_plan import TokenPlan


def waits_for_owner(secret: str, token: TokenPlan, change: str) -> Outcome:
    """The Secret is there, and nobody reads it yet."""
    return Outcome(
        State.SUCCEEDED,
        f"Secret {secret} has a new token, but no pod reads it yet",
        f"It was made with the {token.key} key. The gateway itself was not changed. The bot only "
        "warns until the pods read that Secret; after that it keeps the token valid.",
        change,
    )


def restart_refused(ref: GatewayRef, secret: str, who: Manager, *, back: bool = False) -> Outcome:
    """Somebody took back the annotation that restarts the pods; `back` says that they were to get the
    previous token again, because Azure had refused the new one or its rollout was stuck."""
    return Outcome(
        State.FAILED,
        f"Restart refused by {who}.",
        f"It reverted the annotation with which the bot restarts the pods. {_held(secret, back)}",
        f"Restart the pods: `{restart_command(ref, who)}`.",
    )


def restarted_twice(who: Manager) -> str:
    """Somebody took the restart back after every pod had got the new token."""
    return (
        f"{who} reverted the bot's restart, which replaced the pods again. All of them have the "
        "new token."
    )


def not_restarted(ref: GatewayRef, secret: str, *, back: bool = False) -> Outcome:
    """Reloader was to restart the pods and has not; `back` as above."""
    return Outcome(
        State.UNKNOWN,
        "Reloader has not restarted the pods.",
        _held(secret, back),
        f"Check Reloader, or restart the pods: `{restart_command(ref, None)}`.",
    )


def _held(secret: str, back: bool) -> str:
    if back:
        return (
            f"Secret {secret} has the previous token again. Pods that start from now on use it; "
            "others may still use the new token, which was withdrawn."
        )
    return (
        f"Secret {secret} has the new token. Pods that start from now on use it; the others use "
        "the previous token until it expires."
    )


def restart_command(ref: GatewayRef, who: Manager | None) -> str:
    """What a person types to have the pods replaced."""
    if who is not None and who.tool == ARGO_CD and who.name:
        return (
            f"argocd app actions run {who.name} restart --kind Deployment "
            f"--resource-name {ref.name} --namespace {ref.namespace}"
        )
    return f"kubectl rollout restart deployment/{ref.name} --namespace {ref.namespace}"


def sentence(outcome: Outcome) -> str:
    """An outcome as one paragraph."""
    return " ".join(part for part in (outcome.happened, outcome.meaning, outcome.remedy) if part)
