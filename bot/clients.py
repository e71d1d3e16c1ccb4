"""Settings into clients: what the composition root and `gateway-bot check` both build."""

import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import requests
from azure.core.credentials import AccessToken, TokenCredential
from azure.identity import ClientSecretCredential, DefaultAzureCredential
from pydantic import SecretStr

from bot.environment_settings import ApprovalSettings, EnvironmentSettings, PeopleSettings
from bot.secret_files import SecretFile
from bot.settings import Secrets, Settings
from deploy.access import Approval, Environment, Freeze, Identities, environment_of
from deploy.actions import connection
from deploy.actions.audit_heads import annotation_of
from deploy.actions.redis_address import address_of as redis_address_of
from deploy.actions.redis_address import login_of as redis_login_of
from deploy.actions.redis_login import UrlLogin
from deploy.azure import ApimInstance, ArmClient
from deploy.clouds import PUBLIC, cloud_of
from deploy.expiry.automatic import Automatic
from deploy.expiry.scanner import Rules
from deploy.expiry.thresholds import DEFAULT, ordered
from deploy.gateway import DEFAULT_REPOSITORY, GatewayRef
from deploy.governance.requirements import GovernedBy
from deploy.images.catalogue import Catalogue, address_of
from deploy.images.logins import TOKEN_USER, Keyring, Login, login_of
from deploy.images.names import host_and_path
from deploy.images.registry import Registry
from deploy.kube.cluster import Cluster, connect
from deploy.policy import People
from deploy.rules import Exemption
from deploy.waits import Waits

_SIGN_IN_LIMITS: Mapping[str, object] = {
    "connection_timeout": 3,
    "read_timeout": 5,
    "retry_total": 1,
    "process_timeout": 8,
}
"""Seconds and counts for azure-core's transport and for the command lines that azure-identity asks
(learn.microsoft.com/python/api/azure-core, azure.core.configuration.ConnectionConfiguration: its
own are five minutes for each)."""


def redis_url(settings: Settings, secrets: Secrets) -> str:
    """Where Redis is; the environment goes before the file."""
    if secrets.redis_url is not None:
        return secrets.redis_url.get_secret_value()
    return settings.redis.url or ""


def redis_of(settings: Settings, secrets: Secrets) -> Callable[..., Any]:
    """What makes clients of Redis: `connect` of deploy.actions.connection, with how the bot signs in."""
    url = redis_url(settings, secrets)
    if settings.redis.sign_in == "url":
        given = secrets.redis_url
        if isinstance(given, SecretFile) and redis_login_of(redis_address_of(url)) is not None:
            login = UrlLogin(given.get_secret_value)
            return partial(connection.connect, url, credentials=login)
        return partial(connection.connect, url)
    # Half a second of imports that nobody else needs.
    from deploy.actions.entra import EntraSignIn

    signed = EntraSignIn(credential_of(settings, secrets), settings.redis.entra_scope)
    return partial(connection.connect, url, credentials=signed)


def audit_key(secrets: Secrets) -> bytes:
    """What the hashes of the audit trail are made with; empty where there is none."""
    key = secrets.audit_key
    return key.get_secret_value().encode() if key is not None else b""


def audit_annotation(secrets: Secrets) -> str:
    """Where Leases note how far the trail of these bots has come. Who they are is what they hash with,
    else what they sign in to Slack with: no other bot has that, and Redis need not keep it."""
    return annotation_of(audit_key(secrets) or secrets.slack_bot_token.get_secret_value().encode())


def credential_of(settings: Settings, secrets: Secrets) -> TokenCredential:
    """How the bot signs in to Azure: an application's secret, or whatever the machine offers.

    An authority that is not one of Microsoft's clouds has no instance discovery (azure-identity:
    `disable_instance_discovery` is for disconnected and private clouds).
    """
    azure = settings.azure
    more: dict[str, object] = dict(_SIGN_IN_LIMITS)
    if azure.authority or azure.home is not PUBLIC:
        more["authority"] = authority = azure.authority or azure.home.authority
        more["disable_instance_discovery"] = cloud_of(authority) is None
    if azure.tenant_id and azure.client_id and secrets.azure_client_secret:
        tenant, client = azure.tenant_id, azure.client_id
        return _BySecret(
            lambda secret: ClientSecretCredential(tenant, client, secret, **more),
            secrets.azure_client_secret.get_secret_value,
        )
    if azure.client_id:
        more["managed_identity_client_id"] = azure.client_id
        more["workload_identity_client_id"] = azure.client_id
    return DefaultAzureCredential(**more)


class _BySecret:
    """Signs in to Azure with a secret that may change; azure-identity's credentials keep theirs."""

    def __init__(self, made: Callable[[str], TokenCredential], secret: Callable[[], str]) -> None:
        self._made = made
        self._secret = secret
        self._lock = threading.Lock()
        self._of = secret()
        self._now = made(self._of)

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        """By the secret as it is now, as azure.core.credentials.TokenCredential has it."""
        with self._lock:
            secret = self._secret()
            if secret != self._of:
                self._of, self._now = secret, self._made(secret)
            now = self._now
        return now.get_token(*scopes, **options)


def arm_client(
    settings: Settings,
    secrets: Secrets,
    session: requests.Session,
    waits: Waits | None = None,
) -> ArmClient:
    """The client of Azure Resource Manager."""
    return ArmClient(
        session,
        credential_of(settings, secrets),
        endpoint=settings.azure.arm_endpoint or settings.azure.home.arm,
        waits=waits,
    )


def instances_of(settings: Settings) -> Mapping[str, ApimInstance]:
    """The API Management instances by name."""
    return {
        item.name: ApimInstance(
            name=item.name,
            subscription=item.subscription,
            resource_group=item.resource_group,
            service=item.service,
            configuration_endpoint=item.configuration_endpoint
            or settings.azure.home.configuration_endpoint(item.service),
            endpoints=item.endpoints,
            cloud=settings.azure.home,
        )
        for item in settings.apim
    }


def governed_by(settings: Settings) -> tuple[GovernedBy, ...]:
    """Whose approval tokens of a gateway take, where the settings say so."""
    instances = instances_of(settings)
    return tuple(
        GovernedBy(instances[item.name].arm_id, rule.match, rule.governed_by)
        for item in settings.apim
        for rule in item.gateways
    )


def clusters_of(settings: Settings, waits: Waits | None = None) -> Mapping[str, Cluster]:
    """The clusters by name; nothing is asked of them yet."""
    return {
        item.name: connect(
            item.name,
            kubeconfig=item.kubeconfig,
            context=item.context,
            in_cluster=item.in_cluster,
            namespaces=item.namespaces or (),
            waits=waits,
        )
        for item in settings.clusters
    }


def environments_of(settings: Settings) -> tuple[Environment, ...]:
    """The environments in the order in which they are tried."""
    return tuple(
        Environment(
            name=item.name,
            clusters=item.clusters,
            namespaces=item.namespaces,
            production=item.production,
            exemptions=tuple(Exemption(e.rule, e.reason, e.until) for e in item.exemptions),
            severities=item.rules,
            requesters=_people(item.requesters) if item.requesters else None,
            channels=item.channels,
            approval=_approval(item.approval) if item.approval else None,
            freezes=tuple(Freeze(f.reason, f.starts, f.ends) for f in item.freezes),
            windows=item.allows_windows,
            standing=_standing(item),
        )
        for item in settings.environments
    )


def operator_channels(settings: Settings) -> tuple[str, ...]:
    """Every channel that is warned of something: of all gateways first, then of some environment's.
    The first of them gets the bot's own trouble."""
    every = [settings.warnings, *(e.warnings for e in settings.environments if e.warnings)]
    return tuple(
        dict.fromkeys(place for each in every for place in (each.channel, *each.channels) if place)
    )


def warning_channels(settings: Settings) -> Callable[[GatewayRef], str]:
    """Where people are notified of a gateway: its environment's channel, else the one for all."""
    environments = environments_of(settings)
    own = {e.name: e.warnings.channel or "" for e in settings.environments if e.warnings}

    def channel_of(ref: GatewayRef) -> str:
        name = environment_of(ref, environments).name
        return own.get(name, settings.warnings.channel or "")

    return channel_of


def expiry_rules(settings: Settings) -> Callable[[GatewayRef], Rules]:
    """Where people are warned of a token that expires, and when: as its environment has it."""
    environments = environments_of(settings)
    own = {e.name: e.warnings for e in settings.environments}
    every = settings.warnings

    def rules_of(ref: GatewayRef) -> Rules:
        name = environment_of(ref, environments).name
        here = own.get(name) or every
        thresholds = here.thresholds if here.thresholds is not None else every.thresholds
        return Rules(name, ordered(thresholds) if thresholds is not None else DEFAULT, here.places)

    return rules_of


def automatic_rules(settings: Settings) -> Mapping[str, Automatic]:
    """How tokens are rotated automatically, by environment."""
    return {
        e.name: Automatic(
            mode=e.rotation.mode,
            before=e.rotation.before,
            at_once=e.rotation.at_once or settings.rotation.at_once,
            failures=e.rotation.failures,
        )
        for e in settings.environments
    }


def rotations_at_once(settings: Settings) -> Callable[[str], int]:
    """How many rotations may run at a time in an environment, by its name."""
    rules = automatic_rules(settings)
    return lambda name: rules[name].at_once if name in rules else settings.rotation.at_once


def environment_channels(settings: Settings) -> Mapping[str, tuple[str, ...]]:
    """Where people are warned of tokens, by environment."""
    return {e.name: (e.warnings or settings.warnings).places for e in settings.environments}


def digest_channels(settings: Settings) -> tuple[str, ...]:
    """Every channel that is warned of tokens."""
    every = [settings.warnings, *(e.warnings for e in settings.environments if e.warnings)]
    return tuple(dict.fromkeys(place for one in every for place in one.places))


def identities_of(settings: Settings) -> Identities:
    """Which user ids belong to one person."""
    return Identities({user: name for name, users in settings.people.items() for user in users})


def _standing(settings: EnvironmentSettings) -> str:
    if settings.rotation.mode != "auto":
        return ""
    return settings.rotation.standing_approval or f"automatic rotation in {settings.name}"


def _people(settings: PeopleSettings) -> People:
    return People(settings.users, settings.groups)


def _approval(settings: ApprovalSettings) -> Approval:
    return Approval(_people(settings.approvers), settings.quorum, settings.seconds)


def catalogue_of(
    settings: Settings, secrets: Secrets, session: requests.Session, waits: Waits | None = None
) -> Catalogue:
    """The registries that images come from: Microsoft's, and those of other repositories that the
    settings name."""
    images, keyring = settings.images, keyring_of(settings, secrets)
    microsoft = Registry(
        session,
        base_url=images.registry_url,
        repository=images.repository,
        waits=waits,
        keyring=keyring,
    )
    mirrors: dict[str, Registry] = {}
    for repository in known_repositories(settings):
        url, path = address_of(repository)
        if (url, path) == (images.registry_url.rstrip("/"), images.repository):
            mirrors[repository] = microsoft
        elif repository != DEFAULT_REPOSITORY:
            mirrors[repository] = Registry(
                session, base_url=url, repository=path, waits=waits, keyring=keyring
            )
    return Catalogue(microsoft, DEFAULT_REPOSITORY, mirrors)


def keyring_of(settings: Settings, secrets: Secrets) -> Keyring:
    """Who the bot is for registries: the environment goes before the Docker configuration."""
    given: dict[str, Callable[[], Login]] = {}
    if settings.images.pull_from is not None:
        host, _ = host_and_path(settings.images.pull_from)
        user = secrets.registry_user
        if secrets.registry_token is not None:
            given[host] = partial(_login, user, secrets.registry_token, "REGISTRY_TOKEN")
        elif user and secrets.registry_password is not None:
            given[host] = partial(_login, user, secrets.registry_password, "REGISTRY_PASSWORD")
    return Keyring(given, settings.images.docker_config)


def _login(user: SecretStr | None, secret: SecretStr, source: str) -> Login:
    name = user.get_secret_value() if user else TOKEN_USER
    return login_of(name, secret.get_secret_value(), source)


def image_repository(settings: Settings) -> str:
    """The repository that manifests name."""
    return settings.images.pull_from or DEFAULT_REPOSITORY


def known_repositories(settings: Settings) -> tuple[str, ...]:
    """The repositories whose images may be given a token: the one that manifests name, and those
    that the settings list."""
    return tuple(dict.fromkeys((image_repository(settings), *settings.images.repositories)))
