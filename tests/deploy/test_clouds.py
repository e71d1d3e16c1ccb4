"""Azure's clouds, and what belongs to which."""

import dataclasses
from typing import Any

import pytest
from azure.identity import AzureAuthorityHosts
from hypothesis import given
from hypothesis import strategies as st

from deploy.clouds import CLOUDS, PUBLIC, Cloud, cloud_of

SOVEREIGN = [cloud for cloud in CLOUDS.values() if cloud is not PUBLIC]


@pytest.mark.parametrize("cloud", CLOUDS.values(), ids=CLOUDS)
def test_each_address_belongs_to_its_cloud_alone(cloud: Cloud) -> None:
    host = cloud.configuration_endpoint("Contoso")
    assert host == host.lower()
    for address in (cloud.arm, cloud.authority, cloud.audience, host, f"https://{host}:443/"):
        assert cloud_of(address) is cloud
        assert cloud_of(address.upper()) is cloud


def test_entra_ids_hosts_are_those_that_azure_identity_knows() -> None:
    known = {
        AzureAuthorityHosts.AZURE_PUBLIC_CLOUD,
        AzureAuthorityHosts.AZURE_CHINA,
        AzureAuthorityHosts.AZURE_GOVERNMENT,
    }
    assert {cloud.authority.removeprefix("https://") for cloud in CLOUDS.values()} == known


@given(st.text(max_size=40))
def test_any_text_belongs_to_a_cloud_or_to_none(text: str) -> None:
    assert cloud_of(text) in (None, *CLOUDS.values())
    assert cloud_of(f"https://{text}.azure-api.net.example") is None or "/" in text


@pytest.mark.parametrize("cloud", SOVEREIGN, ids=lambda cloud: cloud.name)
@pytest.mark.parametrize("kind", ["entraApp", "workloadIdentity"])
def test_a_gateway_signs_in_to_the_cloud_of_its_instance(cloud: Cloud, kind: str) -> None:
    auth = cloud.completed({"auth": {"type": kind, "clientId": "a"}})["auth"]
    assert (auth["tokenAudience"], auth["clientId"]) == (cloud.audience, "a")
    # The authority of a workload identity comes from its webhook.
    assert auth.get("authority") == (cloud.authority if kind == "entraApp" else None)


SPECS: list[dict[str, Any]] = [
    {},
    {"auth": None},
    {"auth": "entraApp"},
    {"auth": {"type": "token"}},
    {"auth": {"type": "entraApp", "tokenAudience": "https://own", "authority": "https://own"}},
]


@pytest.mark.parametrize("spec", SPECS)
def test_what_a_spec_says_and_a_token_stay_as_they_are(spec: dict[str, Any]) -> None:
    assert all(cloud.completed(spec) == spec for cloud in SOVEREIGN)


def test_the_public_cloud_needs_nothing_said() -> None:
    assert PUBLIC.completed({"auth": {"type": "entraApp"}}) == {"auth": {"type": "entraApp"}}
    assert len({dataclasses.astuple(cloud) for cloud in CLOUDS.values()}) == len(CLOUDS)
