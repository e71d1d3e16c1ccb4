"""A spec file with `manage: token` says which gateway it is, and nothing of how it runs."""

import pytest

from deploy.errors import InvalidInput
from deploy.gateway import GatewayRef
from deploy.specs.token_spec import TokenSpec, token_spec_from_yaml

SPEC = "manage: token\ngateway: Store-7\ncluster: west\nnamespace: prod\n"


def test_a_file_can_say_that_the_token_alone_is_kept() -> None:
    found = token_spec_from_yaml(SPEC)
    assert found == TokenSpec(GatewayRef("west", "prod", "store-7"), "Store-7")
    named = token_spec_from_yaml(f"{SPEC}name: apim-gateway\n")
    assert named == TokenSpec(GatewayRef("west", "prod", "apim-gateway"), "Store-7")


@pytest.mark.parametrize("text", ["", "gateway: edge-1\nimage: {tag: 2.11.1}\n", "[manage]"])
def test_other_files_are_of_whole_gateways(text: str) -> None:
    assert token_spec_from_yaml(text) is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f"{SPEC}replicas: 3\n", "`manage: token` cannot stand beside `replicas`"),
        (f"{SPEC}image: {{tag: 2.11.1}}\n", "cannot stand beside `image`"),
        (SPEC.replace("token", "all"), "`manage` can only be `token`"),
        (SPEC.replace("cluster: west\n", ""), "cluster is missing"),
        (SPEC.replace("west", "7"), "cluster must be text"),
        (f"{SPEC}name: [a]\n", "name must be text"),
    ],
)
def test_what_is_more_or_less_than_which_gateway_it_is_is_refused(text: str, told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        token_spec_from_yaml(text)
