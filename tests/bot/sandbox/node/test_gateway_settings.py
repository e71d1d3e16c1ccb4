"""How the gateway stand-in reads its settings, and that it keeps its token to itself."""

import pytest

from bot.sandbox.node.gateway_settings import GatewaySettings

ENDPOINT = {"config.service.endpoint": "contoso.configuration.azure-api.net"}
TOKEN = "GatewayKey edge-1&203001010000&c2VjcmV0"


def test_the_gateways_name_is_in_its_token() -> None:
    settings = GatewaySettings.parse({**ENDPOINT, "config.service.auth": TOKEN})
    assert settings.gateway == "edge-1"
    assert settings.auth_problem is None
    assert settings.endpoint == "https://contoso.configuration.azure-api.net"
    assert not settings.endpoint_has_scheme


def test_the_documented_key_layout_is_understood() -> None:
    env = {**ENDPOINT, "config.service.auth": "key", "config.service.auth.key": TOKEN}
    assert GatewaySettings.parse(env).token == TOKEN


@pytest.mark.parametrize(
    "auth",
    [
        {},
        {"config.service.auth": TOKEN.removeprefix("GatewayKey ")},
        {"config.service.auth": "azureAdApp"},
        {"config.service.auth": "workloadIdentity"},
    ],
)
def test_authentication_that_cannot_work_is_a_problem(auth: dict[str, str]) -> None:
    problem = GatewaySettings.parse({**ENDPOINT, **auth}).auth_problem
    assert problem is not None
    assert problem.startswith("No valid authentication was configured")


def test_secrets_do_not_show_in_a_repr() -> None:
    name = "config.service.auth.azureAd"
    entra = {f"{name}.{part}": "hush" for part in ("tenantId", "clientId", "clientSecret")}
    token = GatewaySettings.parse({**ENDPOINT, "config.service.auth": TOKEN})
    app = GatewaySettings.parse({**ENDPOINT, **entra, "config.service.auth": "azureAdApp"})
    assert "c2VjcmV0" not in repr(token)
    assert repr(app).count("hush") == 2


@pytest.mark.parametrize(
    ("span", "seconds"), [("00:01:40", 100), ("1.00:00:05", 86405), ("soon", 100)]
)
def test_the_timeout_is_a_time_span(span: str, seconds: float) -> None:
    env = {**ENDPOINT, "config.service.integration.timeout": span}
    assert GatewaySettings.parse(env).timeout == seconds
