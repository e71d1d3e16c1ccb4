"""Set-ups of Azure, Slack and image registries with one fault each, for `gateway-bot check`."""

from collections.abc import Callable
from dataclasses import dataclass

from bot.proofs.results import Status
from bot.sandbox.registry_accounts import Accounts
from bot.sandbox.slack import User, UserGroup
from tests.support import azure
from tests.support.check_bed import REPOSITORY, CheckBed, Setup
from tests.support.slack_workspace import ELSEWHERE, SCOPES

FAIL, WARN = Status.FAIL, Status.WARN
CLOSED = "127.0.0.1:1"
"""Where nothing listens."""


@dataclass(frozen=True)
class Broken:
    """A set-up with one fault: the line that names it, with these words in it and in its remedy."""

    says: str
    make: Callable[[CheckBed], Setup]
    name: str
    detail: str
    remedy: str
    status: Status = FAIL
    along: tuple[str, ...] = ()
    """Lines that fail or warn for the same reason."""


def apim(**changes: str) -> Callable[[CheckBed], Setup]:
    return lambda bed: Setup({"apim": [bed.instance(**changes)]})


def azure_with(**changes: str) -> Callable[[CheckBed], Setup]:
    return lambda bed: Setup({"azure": {**bed.usual["azure"], **changes}})


def regenerating(bed: CheckBed) -> Setup:
    return Setup({"rotation": {"regenerate_keys": True}})


def one_of_two_instances(bed: CheckBed) -> Setup:
    other = bed.instance(name="other", service="nowhere")
    return Setup({"apim": [bed.instance(), other]})


AZURE = (
    Broken("the role lacks generateToken", lambda bed: bed.azure_as(azure.READER),
           "rights on API Management contoso",
           "is not allowed to generate tokens of contoso: its identity has no role there with the action "
           "Microsoft.ApiManagement/service/gateways/generateToken/action", "`gateway-bot azure-role`"),
    Broken("the role lacks read", lambda bed: bed.azure_as(azure.MINTER), "API Management contoso",
           "is not allowed to read gateways of contoso", "within ten minutes"),
    Broken("no role is assigned", lambda bed: bed.azure_as(azure.APP), "API Management contoso",
           "is not allowed to read gateways of contoso", "azure-role",
           along=("rights on API Management contoso",)),
    Broken("keys are to be regenerated, and the role does not allow it", regenerating,
           "rights on API Management contoso", "is not allowed to regenerate keys of contoso", "azure-role"),
    Broken("the client secret is wrong",
           lambda bed: Setup(secrets={"AZURE_CLIENT_SECRET": "wrong"}), "API Management contoso",
           "rejected the bot's credentials", "AZURE_CLIENT_SECRET"),
    Broken("the application does not exist", azure_with(client_id="nobody"),
           "API Management contoso", "rejected the bot's credentials", "azure.client_id"),
    Broken("the service does not exist", apim(service="nowhere"), "API Management contoso",
           "Azure does not have", "`apim` in the settings"),
    Broken("the resource group does not exist", apim(resource_group="rg-other"),
           "API Management contoso", "rg-other", "`apim` in the settings"),
    Broken("the subscription does not exist",
           apim(subscription="00000000-0000-0000-0000-000000000000"), "API Management contoso",
           "could not be found", "`apim` in the settings"),
    Broken("Azure Resource Manager is away", azure_with(arm_endpoint=f"https://{CLOSED}"),
           "API Management contoso", "Azure Resource Manager", ""),
    Broken("one of two instances does not exist", one_of_two_instances, "API Management other",
           "nowhere", "`apim` in the settings"),
)  # fmt: skip


def secrets(**given: str) -> Callable[[CheckBed], Setup]:
    return lambda bed: Setup(secrets=given)


def scopes(*missing: str) -> Callable[[CheckBed], Setup]:
    left = [scope for scope in SCOPES if scope not in missing]
    return lambda bed: Setup({"slack": bed.slack(scopes=left)})


def without_connections(bed: CheckBed) -> Setup:
    return Setup({"slack": bed.slack(app_token_scopes=())})


def of_another_app(bed: CheckBed) -> Setup:
    token = "xapp-1-A0OTHER-1-aa"
    return Setup({"slack": bed.slack(app_token=token)}, {"SLACK_APP_TOKEN": token})


def channel(name: str) -> Callable[[CheckBed], Setup]:
    return lambda bed: Setup({"warnings": {"channel": name}})


def asked_in(name: str) -> Callable[[CheckBed], Setup]:
    def make(bed: CheckBed) -> Setup:
        development = {"name": "development", "namespaces": ["dev"], "channels": [name]}
        return Setup({"environments": [bed.production(), development]})

    return make


def approvers(**people: object) -> Callable[[CheckBed], Setup]:
    return lambda bed: Setup({"environments": bed.production_of(**people)})


def an_empty_group(bed: CheckBed) -> Setup:
    slack = bed.slack(groups=[UserGroup("S0EMPTY", "empty", "Empty")])
    return Setup({"slack": slack, "environments": bed.production_of(groups=["S0EMPTY"])})


def everybody_has_left(bed: CheckBed) -> Setup:
    slack = bed.slack(users=[User("U0DEE", "dee", "Dee", deleted=True)])
    return Setup({"slack": slack, "environments": bed.production_of(users=["U0DEE"])})


def nobody_may_ask(bed: CheckBed) -> Setup:
    slack = bed.slack(groups=[UserGroup("S0EMPTY", "empty", "Empty")])
    production = bed.production(requesters={"groups": ["S0EMPTY"]})
    return Setup({"slack": slack, "environments": [production]})


def no_approvers(bed: CheckBed) -> Setup:
    production = bed.production()
    del production["approval"]
    return Setup({"environments": [production]})


SLACK = (
    Broken("the bot token is wrong", secrets(SLACK_BOT_TOKEN="xoxb-wrong"), "slack",
           "the token is wrong, invalid_auth", "Copy it from the settings of the Slack app",
           along=("approvers of production", "channel C0OPS")),
    Broken("the tokens are swapped",
           secrets(SLACK_BOT_TOKEN="xapp-1-app", SLACK_APP_TOKEN="xoxb-1-bot"), "slack",
           "not_allowed_token_type", "SLACK_BOT_TOKEN takes a bot token",
           along=("slack Socket Mode", "approvers of production", "channel C0OPS")),
    Broken("the app may not answer", scopes("chat:write"), "slack scopes",
           "The app lacks chat:write (to answer).", "`gateway-bot slack-manifest --mode socket`"),
    Broken("the app may not look for lost requests", scopes("groups:read", "im:read"),
           "slack scopes", "im:read (to find lost requests", "install the app again", WARN),
    Broken("the app may not read user groups", scopes("usergroups:read"), "slack scopes",
           "usergroups:read (to know who approves)", "Add them", along=("approvers of production",)),
    Broken("the app-level token lacks its scope", without_connections, "slack Socket Mode",
           "missing_scope", "an app-level token with the scope connections:write"),
    Broken("the tokens are of two apps", of_another_app, "slack Socket Mode",
           "is of the app A0OTHER, and SLACK_BOT_TOKEN of the app A0APP", "Copy both"),
    Broken("Slack cannot be reached", lambda bed: Setup({"slack": {"api_url": f"http://{CLOSED}/"}}),
           "slack", "Slack does not answer", "",
           along=("slack Socket Mode", "approvers of production", "channel C0OPS")),
    Broken("the bot is not in the channel for warnings", channel(ELSEWHERE), "channel C0ELSE",
           "not a member of that channel", "/invite"),
    Broken("the channel for warnings does not exist", channel("C0NOWHERE"), "channel C0NOWHERE",
           "not a member of that channel", "correct its ID"),
    Broken("the bot is not in a channel for requests", asked_in(ELSEWHERE), "channel C0ELSE",
           "not a member of that channel", "/invite"),
    Broken("production has no approvers", no_approvers, "approvers of production",
           "nobody can change anything there", "Add `approval`"),
    Broken("the group of approvers does not exist", approvers(groups=["S0GONE"]),
           "approvers of production", "The workspace has no user group S0GONE.",
           "Correct the group in the settings."),
    Broken("one of two groups does not exist", approvers(groups=["S0APP", "S0GONE"]),
           "approvers of production",
           "1 approval needed; 1 person can give it. The workspace has no user group S0GONE.",
           "Correct the settings", WARN),
    Broken("the group of approvers is empty", an_empty_group, "approvers of production",
           "The user group S0EMPTY has nobody in it.", "Add people"),
    Broken("the quorum is out of reach", approvers(groups=["S0APP"], quorum=2),
           "approvers of production", "1 person can approve there, and 2 approvals are needed.",
           "lower the quorum"),
    Broken("an approver does not exist", approvers(users=["U0NOBODY"]), "approvers of production",
           "The workspace has no user U0NOBODY.",
           "Correct the user in the settings."),
    Broken("the only approver has left", everybody_has_left, "approvers of production",
           "0 people can approve there", "Add people"),
    Broken("nobody may ask", nobody_may_ask, "requesters of production",
           "Nobody can ask for changes there", "requesters"),
    Broken("Slack's clock is another", lambda bed: Setup(
               {"slack": bed.slack(faults={"clock": "3 minutes behind"})}), "clock",
           "s ahead of Slack's. Requests that Slack signed", "NTP"),
)  # fmt: skip


def images(**changes: object) -> Callable[[CheckBed], Setup]:
    return lambda bed: Setup({"images": {**bed.usual["images"], **changes}})


def an_empty_repository(bed: CheckBed) -> Setup:
    return Setup(
        {"images": {"registry_url": bed.registry_of(tags=()).url, "repository": REPOSITORY}}
    )


def a_mirror_that_asks_who_is_there(bed: CheckBed) -> Setup:
    mirror = bed.registry_of(tags=("v2",), accounts=Accounts({"bot": "password"}))
    return Setup({"images": {**bed.usual["images"], "pull_from": mirror.name}})


def a_wrong_login(bed: CheckBed) -> Setup:
    setup = a_mirror_that_asks_who_is_there(bed)
    return Setup(setup.settings, {"REGISTRY_USER": "bot", "REGISTRY_PASSWORD": "wrong"})


REGISTRIES = (
    Broken("the repository does not exist", images(repository="other/gateway"), "image registry",
           "has no repository other/gateway", "Correct the repository"),
    Broken("the registry is away", images(registry_url=f"http://{CLOSED}"), "image registry",
           "does not answer", ""),
    Broken("the repository is empty", an_empty_repository, "image registry", "has no tags", "images",
           WARN),
    Broken("a mirror asks for a sign-in", a_mirror_that_asks_who_is_there, "images ",
           "Plans cannot check whether a tag exists", "", WARN),
    Broken("the password of a mirror is wrong", a_wrong_login, "images ", "rejected", "REGISTRY_",
           WARN),
)  # fmt: skip
