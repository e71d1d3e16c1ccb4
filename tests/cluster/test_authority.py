"""The attacks and the legitimate work of tests/journeys/test_authority.py, with a real control plane as
the cluster `west`."""

from collections.abc import Iterator

import pytest

from tests.cluster.conftest import named_west
from tests.journeys import test_authority as journeys
from tests.support.control_plane import Process, built
from tests.support.demo import Demo

room, numbers = journeys.room, journeys.numbers


@pytest.fixture(scope="module")
def demo(whole_plane: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    binary, directory = built(), tmp_path_factory.mktemp("demo")
    if binary is None:
        pytest.skip("other tests use these namespaces: `make controlplane` builds a control plane")
    process = Process(binary, directory / "plane")
    process.start()
    try:
        west = str(named_west(process.plane, directory / "west"))
        with journeys.demo_of(directory, ("west",), "--kubeconfig", west) as running:
            yield running
    finally:
        process.stop()


# All but what needs a second cluster, in the same order.
test_the_token_is_not_sent_where_the_settings_know_nobody = (
    journeys.test_the_token_is_not_sent_where_the_settings_know_nobody
)
test_a_token_that_production_holds_takes_productions_approval = (
    journeys.test_a_token_that_production_holds_takes_productions_approval
)
test_a_spec_given_as_a_file_takes_productions_approval = (
    journeys.test_a_spec_given_as_a_file_takes_productions_approval
)
test_asking_again_after_a_denial_takes_productions_approval_and_shows_the_denial = (
    journeys.test_asking_again_after_a_denial_takes_productions_approval_and_shows_the_denial
)
test_a_fix_takes_productions_approval = journeys.test_a_fix_takes_productions_approval
test_a_look_alike_that_holds_productions_token_gets_no_new_one = (
    journeys.test_a_look_alike_that_holds_productions_token_gets_no_new_one
)
test_what_ran_in_development_first_takes_productions_approval_once_it_runs_there = (
    journeys.test_what_ran_in_development_first_takes_productions_approval_once_it_runs_there
)
test_a_deployment_made_with_kubectl_in_production_takes_productions_approval = (
    journeys.test_a_deployment_made_with_kubectl_in_production_takes_productions_approval
)
test_production_that_appears_between_the_decision_and_the_mint_decides = (
    journeys.test_production_that_appears_between_the_decision_and_the_mint_decides
)
test_what_follows_its_target_alone_in_a_shared_place_needs_no_other_click = (
    journeys.test_what_follows_its_target_alone_in_a_shared_place_needs_no_other_click
)
test_a_kept_token_is_sent_elsewhere_only_with_productions_approval = (
    journeys.test_a_kept_token_is_sent_elsewhere_only_with_productions_approval
)
test_no_token_is_used_without_checking_certificates = (
    journeys.test_no_token_is_used_without_checking_certificates
)
test_a_gateway_that_the_settings_share_is_deployed_by_the_targets_decision = (
    journeys.test_a_gateway_that_the_settings_share_is_deployed_by_the_targets_decision
)
test_a_look_alike_in_an_unlisted_namespace_locks_nobody_out = (
    journeys.test_a_look_alike_in_an_unlisted_namespace_locks_nobody_out
)
test_a_token_is_rotated_automatically_only_where_a_decided_action_put_it = (
    journeys.test_a_token_is_rotated_automatically_only_where_a_decided_action_put_it
)
