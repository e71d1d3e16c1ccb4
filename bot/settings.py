"""The settings: one YAML file for what is public, environment variables for what is secret.

All mistakes in both are reported at once, each with its line, the path of the field and what was
expected there.
"""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from pydantic import (
    AliasChoices,
    Field,
    SecretStr,
    ValidatorFunctionWrapHandler,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from bot.cross_references import cross_references
from bot.environment_settings import AllWarningSettings, EnvironmentSettings, Section
from bot.patterns import (
    COMMAND,
    EVENT_PATH,
    PATH,
    SCOPE,
    SERVICE,
    Host,
    HttpUrl,
    Name,
    Repository,
    UserId,
)
from bot.problems import Problem, UnusableSettings
from bot.secret_files import Given, SecretFile, given
from bot.secret_problems import needs_of, secret_problems
from bot.settings_file import SettingsFile, read
from bot.settings_mistakes import mistakes
from deploy.clouds import CLOUDS, PUBLIC, Cloud, clouds_of
from deploy.gateway import DEFAULT_REPOSITORY

_FILE = "settings file"


class HttpSettings(Section):
    """Where HTTP mode listens for Slack's requests."""

    host: str = "0.0.0.0"
    port: int = Field(default=3000, ge=0, le=65535)
    path: str = Field(default="/slack/events", pattern=PATH)
    drain_seconds: float = Field(default=5, ge=0, le=10)
    """How long a bot that is told to end serves on, no longer ready, until load balancers know."""


class SlackSettings(Section):
    """How the bot talks to Slack. Tokens come from the environment."""

    mode: Literal["socket", "http"] = "socket"
    api_url: HttpUrl = "https://slack.com/api/"
    command: str = Field(default="/gateway", pattern=COMMAND)
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
    entra_scope: str = Field(default="https://redis.azure.com/.default", pattern=SCOPE)
    keep_days: int = Field(default=30, ge=1, le=3650)


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
    service: str = Field(pattern=SERVICE, max_length=50)
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
    path: str = Field(default="/event-grid", pattern=EVENT_PATH)
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
    """Read and check the settings file. UnusableSettings has all that is wrong with it."""
    file, problems = _read(path)
    if problems:
        raise UnusableSettings(path, problems)
    return Settings.model_validate(file.data)


def load_all(path: Path) -> tuple[Settings, Secrets]:
    """The same with the secrets: UnusableSettings has what is wrong with the file and with them."""
    file, problems = _read(path)
    found = given(secret_variables(), os.environ)
    for each in secret_problems(found, needs_of(file.data)):
        in_file = each.path == "redis.url"
        problems.append(replace(each, line=file.line(("redis", "url"))) if in_file else each)
    if problems:
        raise UnusableSettings(path, problems)
    return Settings.model_validate(file.data), secrets_in(found)


def secrets_in(found: Given) -> Secrets:
    """Those that are given, when nothing is wrong with them."""
    values: dict[str, Any] = {**found.values, **found.from_files}
    return Secrets(**values)


def secret_variables() -> Iterator[str]:
    """The name of every variable that holds a secret."""
    for field in Secrets.model_fields.values():
        alias = field.validation_alias
        names = alias.choices if isinstance(alias, AliasChoices) else [alias]
        yield from (name for name in names if isinstance(name, str))


def _read(path: Path) -> tuple[SettingsFile, list[Problem]]:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        why = f"{path} cannot be read: {error.strerror}."
        return SettingsFile(), [Problem(_FILE, None, why, "Pass its path with --config.")]
    except UnicodeDecodeError:
        return SettingsFile(), [Problem(_FILE, 1, "is not text in UTF-8.")]
    file = read(text)
    if file.problems and not file.data:
        return file, file.problems
    known = {each.path for each in file.problems}
    found = [*mistakes(Settings, file), *cross_references(file)]
    every = [*file.problems, *(each for each in found if each.path not in known)]
    return file, sorted(every, key=lambda each: each.line or 0)
