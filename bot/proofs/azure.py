"""Whether Azure allows each action of the role that `gateway-bot azure-role` prints.

Reading is proved by reading. That tokens may be generated and keys regenerated is proved on a gateway
that does not exist, so that neither happens: Azure Resource Manager authorizes a request before it
passes it on to API Management, which alone knows which gateways there are (learn.microsoft.com/azure/
azure-resource-manager/management/overview; not tried against Azure itself). So 403 is the answer where the
right is missing, else 404.
"""

import datetime
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path

import requests

from bot.clients import arm_client, instances_of
from bot.install.azure_role import GENERATE, REGENERATE, actions
from bot.proofs.commands import command
from bot.proofs.results import Prove, Result, fail, ok, wrong
from bot.settings import Secrets, Settings
from deploy.azure import ActionDenied, ApimInstance, ArmClient
from deploy.errors import GatewayBotError, NotFound, Unavailable

_LASTS = datetime.timedelta(hours=1)
_NAMED = 8
"""So many gateways are named."""
_MAY: Mapping[str, str] = {GENERATE: "generate tokens", REGENERATE: "regenerate keys"}


def proofs(settings: Settings, given: Secrets, config: Path) -> dict[str, Prove]:
    """A proof for each instance."""
    return {
        f"API Management {instance.name}": _proving(settings, given, instance, config)
        for instance in instances_of(settings).values()
    }


def _proving(settings: Settings, given: Secrets, instance: ApimInstance, config: Path) -> Prove:
    def prove() -> list[Result]:
        arm = arm_client(settings, given, requests.Session())
        return _results(arm, instance, actions(settings), command("azure-role", config))

    return prove


def _results(
    arm: ArmClient, instance: ApimInstance, wanted: list[str], printing: str
) -> list[Result]:
    """The instance first, then a line for each action that its role lacks."""
    name, rights = f"API Management {instance.name}", f"rights on API Management {instance.name}"
    try:
        seen = _gateways([gateway.name for gateway in arm.list_gateways(instance)])
    except ActionDenied as error:
        about, seen = [_denied(name, instance, "read gateways", error, printing)], ""
    except GatewayBotError as error:
        # Whatever else is asked there fails alike.
        return [wrong(name, error)]
    else:
        about = []
    may: list[str] = []
    for action, act in _acts(arm, instance).items():
        if action not in wanted:
            continue
        try:
            _on_no_gateway(act)
            may.append(_MAY[action])
        except ActionDenied as error:
            about.append(_denied(rights, instance, _MAY[action], error, printing))
        except GatewayBotError as error:
            about.append(wrong(rights, error))
    does = f"; may {' and '.join(may)}" if may else ""
    return [ok(name, f"{seen}{does}"), *about] if seen else about


def _acts(arm: ArmClient, instance: ApimInstance) -> Mapping[str, Callable[[str], object]]:
    expires = datetime.datetime.now(datetime.UTC) + _LASTS
    return {
        GENERATE: lambda gateway: arm.generate_token(instance, gateway, "primary", expires),
        REGENERATE: lambda gateway: arm.regenerate_key(instance, gateway, "primary"),
    }


def _on_no_gateway(act: Callable[[str], object]) -> None:
    """Do it to a gateway whose name nobody has given, which is refused in the end."""
    try:
        act(f"gateway-bot-check-{secrets.token_hex(16)}")
    except NotFound:
        return
    raise Unavailable(
        "Azure answered a request for a gateway that does not exist as if it existed.",
        remedy="Check what answers at azure.arm_endpoint: there may be a proxy in between.",
    )


def _denied(
    name: str, instance: ApimInstance, what: str, error: ActionDenied, printing: str
) -> Result:
    return fail(
        name,
        f"The bot is not allowed to {what} of {instance.name}: its identity has no role there with the action "
        f"{error.action}.",
        f"Create and assign the role with the commands that {printing} prints. A new assignment takes "
        "effect within ten minutes.",
    )


def _gateways(names: list[str]) -> str:
    more = len(names) - _NAMED
    listed = ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
    one = len(names) == 1
    return f"{len(names)} self-hosted gateway{'' if one else 's'}" + (
        f": {listed}" if names else ""
    )
