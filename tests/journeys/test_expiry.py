"""A token that is about to expire is told of by itself, whoever installed the gateway."""

import base64
import json
import re
from collections.abc import Iterator

import pytest
import requests
import yaml

from tests.support.demo import Demo, broken, words
from tests.support.kubectl import Kubectl

LEGACY = "west/dev/legacy-9"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    running = Demo(tmp_path_factory.mktemp("demo"))
    yield running
    running.stop()


def test_a_gateway_of_the_portal_is_warned_of_and_can_be_snoozed_with_a_reason(
    demo: Demo,
) -> None:
    ana = demo.person("ana", "gateway-alerts")
    warning = ana.sees(f"{LEGACY} .development. has a token that expires in 5d", 60)
    assert "The expiry was read from the token's text." in words(warning)
    ana.clicks(warning, "Snooze…")
    form = ana.form("expiry_snooze_modal")
    refused = ana.submits(form, snooze_reason=" ")
    assert "A reason is required" in str(refused)
    ana.submits(ana.form("expiry_snooze_modal"), snooze_reason="It is replaced <soon>")
    shown = ana.sees_at(warning, "Snoozed by <@U0ANA>")
    assert "It is replaced &lt;soon&gt;" in words(shown)
    ana.sees("snoozed this: It is replaced &lt;soon&gt;")
    ana.is_told("history legacy-9", "Last actions.*snoozed")


def test_its_buttons_show_it_and_offer_to_keep_its_token_valid(demo: Demo) -> None:
    ivy = demo.person("ivy", "gateway-alerts")
    warning = ivy.sees(f"{LEGACY} .development. has a token that expires", 60)
    ivy.clicks(warning, "Status")
    ivy.sees("legacy-9.*[Hh]eartbeat|legacy-9.*no trouble seen|legacy-9.*unknown", ephemeral=True)
    ivy.clicks(warning, "Keep token valid…")
    ivy.clicks(ivy.sees("Keep the token of legacy-9 on west/dev valid"), "Cancel")


def test_expiring_lists_tokens_the_first_to_expire_first(demo: Demo) -> None:
    demo.person("dan", "gateway-alerts").sees(
        f"{LEGACY} .development. has a token that expires", 60
    )
    dan = demo.person("dan")
    dan.types("expiring")
    dan.sees(r"When tokens expire.*\*legacy-9\* on west/dev( :zzz:)?\nexpires", ephemeral=True)
    dan.types("expiring legacy-9 --snooze 3d")
    dan.sees("Required: `--reason`", ephemeral=True)
    dan.types('expiring legacy-9 --snooze 30d --reason "no"')
    dan.sees("“30d” is not a value of `--snooze`", ephemeral=True)


def test_what_azure_tells_by_event_grid_is_told_on_and_counts_as_evidence(demo: Demo) -> None:
    ana, dan = demo.person("ana"), demo.person("dan", "gateway-alerts")
    # In the warning, or in its thread where the warning was there first.
    said = "Azure reports that the token of instance `(legacy-9-[^`]+)` is about to expire"
    found = re.search(said, words(dan.sees(said, 60)))
    assert found is not None
    instance = found[1]
    settings = yaml.safe_load((demo.data / "gateway-bot.yaml").read_text())
    secret = json.loads((demo.data / "sandbox" / "secrets.json").read_text())["event_grid"]
    place, azure = settings["event_grid"], settings["apim"][0]
    url = f"http://{place['host']}:{place['port']}{place['path']}"
    kubectl = Kubectl(demo.kubeconfig, demo.data)
    pod = ("--context", "west", "-n", "dev", "get", "secret", "legacy-9-token", "-o", "json")
    data = json.loads(kubectl(*pod))["data"]["value"]
    expiry = base64.b64decode(data).decode().split("&")[1]
    service = "providers/Microsoft.ApiManagement/service"
    event = {
        "specVersion": "1.0",
        "id": "an-event-of-the-test",
        "type": "Microsoft.ApiManagement.GatewayTokenExpired",
        "source": f"/subscriptions/{azure['subscription']}/resourceGroups/"
        f"{azure['resource_group']}/{service}/{azure['service']}",
        "data": {
            "gatewayInfo": {"gatewayId": "legacy-9", "instanceId": instance},
            "tokenInfo": {
                "expiredAtUtc": f"{expiry[:4]}-{expiry[4:6]}-{expiry[6:8]}T{expiry[8:10]}:"
                f"{expiry[10:]}:00.0000000Z"
            },
        },
    }
    assert requests.post(url, json=event, timeout=10).status_code == 401
    assert requests.post(f"{url}?key={secret}", json=event, timeout=10).status_code == 200
    dan.sees("Azure reports that the token of instance `legacy-9-.*has expired", 60)
    ana.is_told("status legacy-9", "denied.*Azure reported")


def test_a_token_that_azure_refuses_is_one_fact_for_every_view_and_its_alert_offers_to_manage_it(
    demo: Demo,
) -> None:
    dan, alerts = demo.person("dan"), demo.person("dan", "gateway-alerts")
    with broken(demo, "azure", "configuration_status", "403", "none"):
        dan.is_told("status legacy-9", r"legacy-9 on west/dev.*\*denied\*")
        dan.types("status")
        assert "token refused" in words(dan.sees("Gateways", ephemeral=True))
        renew = rf"\*Azure refuses its token\.\* Renew it: `/gateway manage-token {LEGACY}`"
        dan.is_told("expiring", f"When tokens expire.*{renew}")
        alert = alerts.sees(r"legacy-9 on west/dev \(development\) is denied by Azure", 90)
        assert "Renew token…" not in words(alert)
        alerts.clicks(alert, "Keep token valid…")
        alerts.sees("Keep the token of legacy-9 on west/dev valid.*Nothing has changed yet")
