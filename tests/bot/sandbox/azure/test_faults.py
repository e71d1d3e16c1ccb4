"""Azure misbehaving at the turn of a switch."""

from pathlib import Path

import pytest
import requests

from bot.sandbox.azure.throttle import Buckets
from tests.support.azure import BOT, READER, AzureBed, azure_bed, error_of


@pytest.mark.parametrize("status", ["401", "403", "404", "409", "429", "500", "503"])
def test_resource_manager_answers_what_it_is_told_to(bed: AzureBed, status: str) -> None:
    bed.azure.faults.set("arm_status", status)
    answer = bed.call("GET", "/gateways")
    assert answer.status_code == int(status)
    assert answer.json()["error"]["code"]
    assert ("Retry-After" in answer.headers) == (status in ("429", "503"))


def test_retry_after_is_what_the_switch_says(bed: AzureBed) -> None:
    bed.azure.faults.set("arm_status", "429")
    bed.azure.faults.set("retry_after_seconds", 7)
    assert bed.call("GET", "/gateways").headers["Retry-After"] == "7"


def test_resource_manager_can_answer_garbage(bed: AzureBed) -> None:
    bed.azure.faults.set("arm_garbage", True)
    assert bed.call("GET", "/gateways").text.startswith("<html>")


def test_a_slow_resource_manager_runs_into_a_timeout(bed: AzureBed) -> None:
    bearer = bed.bearer()
    bed.azure.faults.set("arm_slow_ms", 60_000)
    with pytest.raises(requests.Timeout):
        requests.get(
            f"{bed.azure.url}/subscriptions/x",
            headers={"Authorization": f"Bearer {bearer}"},
            verify=str(bed.authority.ca_pem_path),
            timeout=2,
        )


def test_a_client_that_asks_too_often_is_throttled_and_no_other(tmp_path: Path) -> None:
    # The buckets' time stands still: a slow machine would let them fill again between two calls.
    with azure_bed(tmp_path, Buckets(clock=lambda: 0.0)) as bed:
        bed.azure.faults.set("throttling", True)
        header = "x-ms-ratelimit-remaining-subscription-reads"
        answers = [bed.call("GET", "/gateways/edge-1", client=READER) for _ in range(251)]
        assert [int(answer.headers[header]) for answer in answers] == [*range(249, -1, -1), 0]
        assert {answer.status_code for answer in answers[:250]} == {200}
        assert error_of(answers[250]) == (429, "TooManyRequests")
        assert answers[250].headers["Retry-After"] == "1"
        assert bed.call("GET", "/gateways/edge-1", client=BOT).status_code == 200
        assert bed.token(client=BOT), "writes have a bucket of their own"


def test_a_bucket_fills_again_at_its_rate() -> None:
    now = 0.0
    buckets = Buckets(clock=lambda: now)
    taken = [buckets.take("a", "GET") for _ in range(251)]
    assert (taken[0], taken[249], taken[250]) == (249, 0, None)
    now = 1.0
    assert [buckets.take("a", "GET") is None for _ in range(26)] == [False] * 25 + [True]
    assert buckets.take("a", "DELETE") == 199


@pytest.mark.parametrize("status", ["401", "403", "503"])
def test_the_configuration_endpoint_answers_what_it_is_told_to(bed: AzureBed, status: str) -> None:
    token = bed.token()
    bed.azure.faults.set("configuration_status", status)
    assert bed.poll(f"GatewayKey {token}").status_code == int(status)


def test_a_silent_configuration_endpoint_ends_its_silence_with_the_switch(bed: AzureBed) -> None:
    token = bed.token()
    bed.azure.faults.set("configuration_status", "timeout")
    with pytest.raises(requests.Timeout):
        requests.get(
            f"{bed.azure.configuration_url}/gateways/edge-1/events",
            headers={"Authorization": f"GatewayKey {token}"},
            verify=str(bed.authority.ca_pem_path),
            timeout=2,
        )
    bed.azure.faults.reset()
    assert bed.poll(f"GatewayKey {token}").status_code == 200
