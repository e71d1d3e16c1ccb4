"""Which source of credentials a kubeconfig's user has. What comes first is as with kubectl."""

import base64
from dataclasses import replace
from typing import Any

import jwt
import urllib3
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException
from kubernetes.config.config_exception import ConfigException
from oauthlib.oauth2 import OAuth2Error

from deploy.errors import Unavailable
from deploy.kube.credentials import (
    Credential,
    Fixed,
    FromFiles,
    Renewing,
    Source,
    bearer,
    check_pair,
)
from deploy.kube.exec_plugin import PluginRunner
from deploy.kube.kubeconfig import Server, User
from deploy.link_faults import Kind, Place, fault_of

_PROVIDER = Place("the auth-provider of its kubeconfig", "idp-certificate-authority there")

_PROVIDERS_ERRORS = (
    ApiException,
    ConfigException,
    OAuth2Error,
    urllib3.exceptions.HTTPError,
    OSError,
    ValueError,
    KeyError,
    TypeError,
    # Without Google's library it continues with nothing.
    AttributeError,
)
# The package has type hints, its loaders of credentials have none.
_load: Any = config


def source_of(
    cluster: str, user: User, server: Server, location: str, context: str | None
) -> Source:
    """The source for a user; no file is read and nothing run yet. `location` and `context` are those of
    the kubeconfig. ValueError where what it holds cannot be used."""
    if user.token or user.token_file or user.username:
        return files_of(cluster, user)
    if user.plugin is not None:
        runner = PluginRunner(cluster, user.plugin, server)
        return Renewing(
            runner.name, lambda: _beside(cluster, user, runner.run()), close=runner.close
        )
    if user.provider:
        name = f"the auth-provider “{user.provider}” of cluster “{cluster}”"
        return Renewing(name, lambda: _provided(name, location, context))
    return files_of(cluster, user)


def files_of(cluster: str, user: User) -> Source:
    """What the kubeconfig holds or names as files. ValueError where what it holds cannot be used."""
    paths = [path for path in (user.token_file, user.certificate.path, user.key.path) if path]
    if not paths:
        written = _written(user)
        check_pair(written)
        return Fixed(written)
    return FromFiles(cluster, " and ".join(map(str, paths)), lambda: _written(user))


def _written(user: User) -> Credential:
    """OSError or ValueError where a file cannot be read or is empty."""
    return replace(_certificate(user), authorization=_authorization(user))


def _beside(cluster: str, user: User, given: Credential) -> Credential:
    """What a plugin gave, with the client certificate of the kubeconfig where it gave none: a proxy
    before the cluster may want it."""
    if given.certificate or not user.certificate:
        return given
    own = FromFiles(cluster, "its client certificate", lambda: _certificate(user)).current()
    return replace(given, certificate=own.certificate, key=own.key)


def _certificate(user: User) -> Credential:
    return Credential(certificate=user.certificate.read(), key=user.key.read())


def _authorization(user: User) -> str:
    if user.token_file is not None:
        try:
            return bearer(user.token_file.read_text())
        except (OSError, ValueError):
            if not user.token:
                raise
    if user.token:
        return bearer(user.token)
    if user.username:
        pair = f"{user.username}:{user.password}".encode()
        return f"Basic {base64.b64encode(pair).decode()}"
    return ""


def _provided(name: str, location: str, context: str | None) -> Credential:
    """What the official client gets from an auth-provider."""
    settings = client.Configuration()
    try:
        _load.load_kube_config(
            config_file=location,
            context=context,
            client_configuration=settings,
            persist_config=False,
        )
    except _PROVIDERS_ERRORS as error:
        # It talks to somebody's sign-in service by several libraries; their words may hold a token.
        fault = fault_of(error, _PROVIDER)
        why = type(error).__name__ if fault.kind is Kind.UNKNOWN else fault.what
        raise Unavailable(
            f"{name[0].upper()}{name[1:]} failed: {why}.",
            remedy="Ask whoever runs the bot to sign in again, or to use an exec plugin instead.",
            untouched=True,
        ) from None
    authorization = str(settings.api_key.get("BearerToken") or "")
    if not authorization:
        raise Unavailable(
            f"{name[0].upper()}{name[1:]} gave no token.",
            remedy="Ask whoever runs the bot to sign in again, or to use an exec plugin instead.",
            untouched=True,
        )
    return Credential(authorization, expires=_end_of(authorization.partition(" ")[2]))


def _end_of(token: str) -> float | None:
    try:
        claims = jwt.decode(token, options={"verify_signature": False})
        return float(claims["exp"])
    except (jwt.PyJWTError, KeyError, TypeError, ValueError):
        return None
