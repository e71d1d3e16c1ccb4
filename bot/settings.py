"""The settings: one YAML file for what is public, environment variables for what is secret.

Every mistake is reported with the path of the field and what was expected there.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    AliasChoices,
    Field,
    SecretStr,
    ValidationError,
    ValidatorFunctionWrapHandler,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from bot.environment_settings import (
    AllWarningSettings,
    EnvironmentSettings,
    Name,
    Section,
    UserId,
)
from bot.secret_files import SecretFile, from_files
from deploy.access import UNLISTED
from deploy.clouds import CLOUDS, PUBLIC, Cloud, clouds_of
from deploy.errors import InvalidInput
from deploy.gateway import DEFAULT_REPOSITORY

HttpUrl = Annotated[str, Field(pattern=r"^https?://[^\s/]+(/\S*)?$")]
Host = Annotated[
    str,
    Field(
        pattern=r"^(https://)?[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?$",
        max_length=270,
    ),
]
Repository = Annotated[
    str, Field(pattern=r"^[^\s:@/]+(:[0-9]{1,5})?(/[^\s:@/]+)+$", max_length=300)
]


class HttpSettings(Section):
    """Where HTTP mode listens for Slack's requests."""

    host: str = "0.0.0.0"
    port: int = Field(default=3000, ge=0, le=65535)
    path: str = Field(default="/slack/events", pattern=r"^/\S*$")
    drain_seconds: float = Field(default=5, ge=0, le=10)
    """How long a bot that is told to end serves on, no longer ready, until load balancers know."""


class SlackSettings(Section):
    """How the bot talks to Slack. Tokens come from the environment."""

    mode: Literal["socket", "http"] = "socket"
    api_url: HttpUrl = "https://slack.com/api/"
    command: str = Field(default="/gateway", pattern=r"^/[a-z0-9_-]{1,31}$")
    connections: int = Field(default=2, ge=1, le=10)
    """Socket Mode connections of this process; Slack allows an app ten in all."""
    renew_seconds: int = Field(default=300, ge=10, le=18_000)
    """How often one of them is renewed, so that Slack says how many it counts."""
    http: HttpSettings = HttpSettings()


class RedisSettings(Section):
    """Which Redis-compatible server holds pending actions. REDIS_URL overrides `url`."""

    url: str | None = None
    sign_in: Literal["url", "entra"] = "url"
    """With what the URL has, or with the bot's Azure credential, as Azure Managed Redis takes it."""
    entra_scope: str = Field(
        default="https://redis.azure.com/.default", pattern=r"^[A-Za-z0-9:/._-]{1,200}/\.default$"
    )
    keep_days: int = Field(default=30, ge=1, le=3650)


def _check_cloud(path: str, address: str | None, home: Cloud) -> None:
    for cloud in clouds_of((address or "",)):
        if cloud is not home:
            raise ValueError(
                f"{path}: {address} is in {cloud.title}, azure.cloud is {home.name}; "
                f"set azure.cloud: {cloud.name}, or the address of {home.title}"
            )


class AzureSettings(Section):
    """How the bot signs in to Azure, and to which cloud; `authority` and `arm_endpoint` go before what
    the cloud has. With no client id the default credential chain is used."""

    cloud: Literal["public", "usgov", "china"] | None = None
    authority: HttpUrl | None = None
    tenant_id: str | None = None
    client_id: str | None = None
    arm_endpoint: HttpUrl | None = None

    @property
    def home(self) -> Cloud:
        """The cloud that is named, or else the one that the addresses are of."""
        if self.cloud is not None:
            return CLOUDS[self.cloud]
        return next(iter(clouds_of((self.arm_endpoint or "", self.authority or ""))), PUBLIC)

    @property
    def is_known(self) -> bool:
        """Whether something says which cloud it is: an Azure Resource Manager of one's own does not."""
        addresses = (self.arm_endpoint or PUBLIC.arm, self.authority or "")
        return self.cloud is not None or bool(clouds_of(addresses))

    @model_validator(mode="after")
    def _of_one_cloud(self) -> "AzureSettings":
        for field in ("authority", "arm_endpoint"):
            _check_cloud(f"azure.{field}", getattr(self, field), self.home)
        return self


class GovernedSettings(Section):
    """Whose approval tokens of some gateways take, whatever they run in; `*` and `?` are wildcards."""

    match: str = Field(min_length=1, max_length=80)
    governed_by: tuple[Name, ...] = Field(min_length=1)


class ApimSettings(Section):
    """One API Management instance.

    `endpoints` are further hosts under which its gateways may fetch their configuration; of
    `gateways` the first that matches a gateway's name holds.
    """

    name: Name
    subscription: str = Field(min_length=1, max_length=64)
    resource_group: str = Field(min_length=1, max_length=90)
    service: str = Field(pattern=r"^[a-zA-Z]([a-zA-Z0-9-]*[a-zA-Z0-9])?$", max_length=50)
    configuration_endpoint: str | None = None
    endpoints: tuple[Host, ...] = ()
    gateways: tuple[GovernedSettings, ...] = ()


class ClusterSettings(Section):
    """One Kubernetes cluster: a context of a kubeconfig, or the cluster the bot runs in.

    Of `namespaces` that are listed the bot needs no right beyond a Role in each.
    """

    name: Name
    kubeconfig: Path | None = None
    context: str | None = None
    in_cluster: bool = False
    namespaces: tuple[Name, ...] | None = Field(default=None, min_length=1, max_length=50)

    @field_validator("namespaces", mode="before")
    @classmethod
    def _are_names(cls, value: Any) -> Any:
        names = [each for each in value if isinstance(each, str)] if _is_listing(value) else []
        pattern = next((name for name in names if set(name) & set("*?")), None)
        if pattern is not None:
            raise ValueError(
                f"{pattern} is a pattern; list namespaces by name, because with Roles alone the "
                "bot cannot list the namespaces"
            )
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"{twice} is listed twice")
        return value

    @model_validator(mode="after")
    def _one_way_in(self) -> "ClusterSettings":
        if self.in_cluster and (self.kubeconfig or self.context):
            raise ValueError("in_cluster cannot be combined with kubeconfig or context")
        return self


def _is_listing(value: Any) -> bool:
    return isinstance(value, list | tuple)


class ImageSettings(Section):
    """Where image tags are looked up and what the pods pull. `docker_config` is a file with credentials
    of registries, as `docker login` and pull secrets of Kubernetes have it."""

    registry_url: HttpUrl = "https://mcr.microsoft.com"
    repository: str = "azure-api-management/gateway"
    pull_from: Repository | None = None
    """Registry host and repository written into manifests, where it is not the public one."""
    repositories: tuple[Repository, ...] = (DEFAULT_REPOSITORY,)
    """Images that may be given a new token; `pull_from` is always one."""
    docker_config: Path | None = None

    @field_validator("registry_url")
    @classmethod
    def _holds_no_login(cls, value: str) -> str:
        if "@" in value.partition("://")[2].partition("/")[0]:
            raise ValueError(
                "must not hold a user or a password; give them in images.docker_config, or for "
                "the registry of images.pull_from in REGISTRY_USER and REGISTRY_PASSWORD"
            )
        return value


class DecisionSettings(Section):
    """How long a plan may wait for its decision, in seconds."""

    seconds: int = Field(default=3600, ge=60, le=7 * 86400)


class RotationSettings(Section):
    """How tokens are rotated: how many at a time, and what it takes to trust a new one."""

    at_once: int = Field(default=1, ge=1, le=50)
    """Rotations that run at the same time in one environment."""
    verify_seconds: int = Field(default=30, ge=5, le=600)
    """For how long new pods are watched for a refusal, where no success is logged."""
    regenerate_keys: bool = False
    """Whether keys may be regenerated, which kills every token made with them."""


class EventGridEntraSettings(Section):
    """The tenant whose tokens Event Grid shows, and for which audience; `authority` is Azure's."""

    tenant_id: str = Field(min_length=1, max_length=64)
    audience: str = Field(min_length=1, max_length=300)


class EventGridSettings(Section):
    """Where Event Grid delivers what Azure knows of tokens. A delivery proves itself by
    EVENT_GRID_SECRET or by a token of Entra ID."""

    host: str = "0.0.0.0"
    port: int = Field(default=8087, ge=0, le=65535)
    path: str = Field(default="/event-grid", pattern=r"^/[A-Za-z0-9/_-]{1,100}$")
    entra: EventGridEntraSettings | None = None


class HealthSettings(Section):
    """Where probes and /metrics are answered: at the pod's address, since a kubelet asks from outside.
    Port 0 takes any free one."""

    host: str = "0.0.0.0"
    port: int = Field(default=8086, ge=0, le=65535)


class Settings(Section):
    """Everything that is not secret."""

    slack: SlackSettings = SlackSettings()
    redis: RedisSettings = RedisSettings()
    azure: AzureSettings = AzureSettings()
    apim: tuple[ApimSettings, ...] = Field(min_length=1)
    clusters: tuple[ClusterSettings, ...] = Field(min_length=1)
    environments: tuple[EnvironmentSettings, ...] = Field(min_length=1)
    people: dict[str, tuple[UserId, ...]] = Field(default_factory=dict)
    """User ids that belong to one person, by a name for that person."""
    images: ImageSettings = ImageSettings()
    decision: DecisionSettings = DecisionSettings()
    warnings: AllWarningSettings = AllWarningSettings()
    rotation: RotationSettings = RotationSettings()
    event_grid: EventGridSettings | None = None
    health: HealthSettings = HealthSettings()

    @field_validator("people")
    @classmethod
    def _one_person_an_id(cls, value: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        ids = [user for users in value.values() for user in users]
        twice = sorted({user for user in ids if ids.count(user) > 1})
        if twice:
            raise ValueError(f"{twice[0]} is assigned to two people")
        return value

    @model_validator(mode="after")
    def _names_are_unique(self) -> "Settings":
        for field in ("apim", "clusters", "environments"):
            names = [item.name for item in getattr(self, field)]
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"{field}: the name {twice[0]} is used twice")
        if UNLISTED.name in {environment.name for environment in self.environments}:
            raise ValueError(f"environments: {UNLISTED.name} is what is in none of them")
        return self

    @model_validator(mode="after")
    def _endpoints_are_of_one_cloud(self) -> "Settings":
        if not self.azure.is_known:
            return self
        for i, instance in enumerate(self.apim):
            own = ("configuration_endpoint", instance.configuration_endpoint)
            for field, host in (own, *(("endpoints", host) for host in instance.endpoints)):
                _check_cloud(f"apim[{i}].{field}", host, self.azure.home)
        return self

    @model_validator(mode="after")
    def _who_governs_exists(self) -> "Settings":
        known = {environment.name for environment in self.environments}
        for i, instance in enumerate(self.apim):
            for j, rule in enumerate(instance.gateways):
                unknown = [name for name in rule.governed_by if name not in known]
                if unknown:
                    raise ValueError(
                        f"apim[{i}].gateways[{j}].governed_by: there is no environment "
                        f"“{unknown[0]}”; there are {', '.join(sorted(known))}"
                    )
        return self


SHORTEST_EVENT_GRID_SECRET = 16
"""Characters."""


class Secrets(BaseSettings):
    """Everything that is secret, from the environment and the files that it names."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)

    slack_bot_token: SecretStr = Field(validation_alias="SLACK_BOT_TOKEN")
    slack_app_token: SecretStr | None = Field(default=None, validation_alias="SLACK_APP_TOKEN")
    slack_signing_secret: SecretStr | None = Field(
        default=None, validation_alias="SLACK_SIGNING_SECRET"
    )
    azure_client_secret: SecretStr | None = Field(
        default=None, validation_alias="AZURE_CLIENT_SECRET"
    )
    event_grid_secret: SecretStr | None = Field(default=None, validation_alias="EVENT_GRID_SECRET")
    audit_key: SecretStr | None = Field(default=None, validation_alias="GATEWAY_BOT_AUDIT_KEY")
    registry_user: SecretStr | None = Field(default=None, validation_alias="REGISTRY_USER")
    registry_password: SecretStr | None = Field(default=None, validation_alias="REGISTRY_PASSWORD")
    registry_token: SecretStr | None = Field(default=None, validation_alias="REGISTRY_TOKEN")
    redis_url: SecretStr | None = Field(
        None, validation_alias=AliasChoices("REDIS_URL", "GATEWAY_BOT_REDIS_URL")
    )

    @field_validator("*", mode="wrap")
    @classmethod
    def _keeps_files(cls, value: object, handler: ValidatorFunctionWrapHandler) -> object:
        # Pydantic would copy what the file holds now.
        return value if isinstance(value, SecretFile) else handler(value)


def load_settings(path: Path) -> Settings:
    """Read and check the settings file. InvalidInput names each field at fault."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InvalidInput(
            f"The settings file {path} cannot be read: {error.strerror}.",
            remedy="Pass its path with --config.",
        ) from error
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InvalidInput(f"The settings file {path} is not YAML: {error}") from error
    if not isinstance(data, dict):
        raise InvalidInput(f"The settings file {path} is empty.")
    try:
        return Settings.model_validate(data)
    except ValidationError as error:
        raise InvalidInput(f"The settings file {path} has errors:\n{_explain(error)}") from error


def secret_variables() -> Iterator[str]:
    """The name of every variable that holds a secret."""
    for field in Secrets.model_fields.values():
        alias = field.validation_alias
        names = alias.choices if isinstance(alias, AliasChoices) else [alias]
        yield from (name for name in names if isinstance(name, str))


def load_secrets(settings: Settings) -> Secrets:
    """Read the secrets. InvalidInput names each variable the settings make necessary."""
    held: dict[str, Any] = dict(from_files(secret_variables(), os.environ))
    try:
        secrets = Secrets(**held)
    except ValidationError as error:
        raise InvalidInput(
            f"A secret is missing from the environment:\n{_explain(error)}"
        ) from error
    missing = []
    if settings.slack.mode == "socket" and secrets.slack_app_token is None:
        missing.append("SLACK_APP_TOKEN (an app-level token, xapp-…, for Socket Mode)")
    if settings.slack.mode == "http" and not secrets.slack_signing_secret:
        missing.append("SLACK_SIGNING_SECRET (for HTTP mode)")
    if secrets.redis_url is None and settings.redis.url is None:
        missing.append("REDIS_URL (or redis.url in the settings)")
    if settings.azure.client_id and settings.azure.tenant_id and not secrets.azure_client_secret:
        missing.append("AZURE_CLIENT_SECRET (azure.client_id is set)")
    endpoint, shared = settings.event_grid, secrets.event_grid_secret
    if endpoint is not None and endpoint.entra is None and shared is None:
        missing.append("EVENT_GRID_SECRET (event_grid is set, without event_grid.entra)")
    if shared is not None and len(shared.get_secret_value()) < SHORTEST_EVENT_GRID_SECRET:
        missing.append(f"an EVENT_GRID_SECRET of at least {SHORTEST_EVENT_GRID_SECRET} characters")
    signs_in = secrets.registry_password is not None or secrets.registry_token is not None
    if signs_in and settings.images.pull_from is None:
        missing.append("images.pull_from in the settings (whose registry REGISTRY_… signs in to)")
    if secrets.registry_password is not None and not secrets.registry_user:
        missing.append("REGISTRY_USER (REGISTRY_PASSWORD is set)")
    if missing:
        raise InvalidInput("The environment lacks " + ", ".join(missing) + ".")
    return secrets


def _explain(error: ValidationError) -> str:
    return "\n".join(
        f"  {_path(item['loc'])}: {item['msg']}"
        for item in error.errors(include_url=False, include_context=False, include_input=False)
    )


def _path(location: tuple[Any, ...]) -> str:
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else str(part)
    return path or "(the whole file)"
