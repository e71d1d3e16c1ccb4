"""What was typed wrong comes back corrected, as a command that a button runs."""

import json
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from deploy.commands import Command
from deploy.errors import Ambiguous, GatewayBotError, InvalidInput, NotFound
from deploy.kube.places import Places
from handlers import fleet
from handlers.actions import deploy_form, desired
from handlers.slack.payloads import Request
from handlers.verbs import deploy
from handlers.verbs.grammar import parse, retyped
from handlers.verbs.table import VERBS
from handlers.views.errors import Misspelt, trouble
from tests.support.deploy_verb import Showing, deploy_asked
from tests.support.shown import check_blocks

BY_NAME = {verb.name: verb for verb in VERBS}


def shown(error: GatewayBotError, verb: str, gateway: str, **options: Any) -> str:
    """The answer to a command that ended with that error."""
    again = partial(retyped, BY_NAME[verb], gateway, options)
    return json.dumps(trouble(error, again).blocks, ensure_ascii=False)


@pytest.mark.parametrize(
    ("part", "value", "gateway", "options", "command"),
    [
        ("gateway", "edge-1", "egde-1", {}, "deploy edge-1"),
        ("--tag", "2.11.1", "edge-1", {"tag": "2.11"}, "deploy edge-1 --tag=2.11.1"),
        ("cluster", "west", "edge-1", {"to": "wst/dev"}, "deploy edge-1 --to=west/dev"),
        ("namespace", "dev", "edge-1", {"to": "west/dve"}, "deploy edge-1 --to=west/dev"),
        ("cluster", "west", "wst/dev/edge-1", {}, "deploy west/dev/edge-1"),
        ("namespace", "dev", "west/dve/edge-1", {}, "deploy west/dev/edge-1"),
    ],
)
def test_the_command_as_it_was_meant_is_shown_whole_with_a_button(
    part: str, value: str, gateway: str, options: dict[str, Any], command: str
) -> None:
    error = NotFound("There is none.", remedy=f"Did you mean {value}?").did_mean(part, value)
    said = shown(error, "deploy", gateway, **options)
    assert f"Did you mean `/gateway {command}`?" in said
    assert f'"value": "{command}"' in said
    assert "Run it" in said


@pytest.mark.parametrize(
    ("part", "gateway", "options"),
    [("namespace", "edge-1", {}), ("gateway", "egde-1", {"more": "logs: {level: warn}"})],
)
def test_where_the_rest_cannot_be_typed_again_only_the_word_is_shown(
    part: str, gateway: str, options: dict[str, Any]
) -> None:
    error = NotFound("There is none.", remedy="Did you mean dev?").did_mean(part, "dev")
    said = shown(error, "deploy", gateway, **options)
    assert "Did you mean dev?" in said
    assert "Run it" not in said


def test_several_values_that_are_near_are_a_choice() -> None:
    error = NotFound("There is none.", remedy="").did_mean("--tag", "2.9.1", "2.9.2")
    said = shown(error, "deploy", "edge-1", tag="2.99")
    assert "deploy edge-1 --tag=2.9.1" in said
    assert "deploy edge-1 --tag=2.9.2" in said


def test_a_command_that_a_remedy_names_has_a_button() -> None:
    command = Command("rotate", "west/dev/edge-1")
    error = NotFound("It has expired.", remedy=f"{command} gives it a new one.").offering(command)
    said = json.dumps(trouble(error).blocks)
    assert "`/gateway rotate west/dev/edge-1` gives it a new one." in said
    assert '"value": "rotate west/dev/edge-1"' in said


def test_slack_takes_an_answer_with_several_buttons() -> None:
    error = NotFound("There is none.").offering(Command("adopt", "edge-1"), Command("list"))
    check_blocks(list(trouble(error).blocks))
    several = NotFound("There is none.").did_mean("--tag", "2.9.1", "2.9.2")
    again = partial(retyped, BY_NAME["deploy"], "edge-1", {"tag": "2.99"})
    check_blocks(list(trouble(several, again).blocks))


def test_a_cluster_that_is_not_there_is_said_with_the_one_that_is_meant() -> None:
    with pytest.raises(NotFound, match="There is no cluster “wst”") as error:
        fleet.check_cluster("wst", ("west", "east"))
    assert error.value.meant is not None
    assert error.value.meant.values == ("west",)
    with pytest.raises(NotFound, match="This bot knows east, west"):
        fleet.check_cluster("nowhere", ("west", "east"))


def test_a_namespace_outside_those_listed_is_said_with_the_one_that_is_meant() -> None:
    with pytest.raises(InvalidInput) as error:
        Places("west", ("dev", "prod")).check("dve")
    assert error.value.meant is not None
    assert (error.value.meant.part, error.value.meant.values) == ("namespace", ("dev",))


@pytest.mark.parametrize(
    ("gateway", "to"),
    [("Edge-1", "West/Dev"), ("west/dev/edge-1", ""), ("WEST/dev/Edge-1", "west/dev")],
)
def test_a_deployment_s_gateway_is_named_by_name_or_in_full_in_any_case(
    gateway: str, to: str
) -> None:
    options: dict[str, Any] = {"to": to} if to else {}
    request = Request(
        "r1", "deploy", "U1", "C1", gateway=gateway, options={**options, "tag": "2.11.1"}
    )
    assert not deploy.incomplete(request)
    wanted = deploy_asked(Showing(None), gateway=gateway, tag="2.11.1", **options)
    assert str(wanted.spec.ref) == "west/dev/edge-1"
    assert wanted.spec.apim.gateway == "edge-1"


def test_the_form_of_a_gateway_that_is_named_in_full_has_its_place() -> None:
    shown: list[Any] = []
    slack = SimpleNamespace(
        views_open=lambda **opened: {"view": {"id": "V1", "hash": "h"}},
        views_update=lambda *, view, **more: shown.append(view),
    )
    needs: Any = SimpleNamespace(
        slack=slack,
        choices=SimpleNamespace(warm=dict, find=lambda source, text: ()),
        team=SimpleNamespace(granted=lambda scope: False),
        policies=SimpleNamespace(freezes=lambda ref: ()),
        caches={},
        command="/gateway",
    )
    request = Request("r1", "deploy", "U1", "C1", gateway="west/dev/edge-1")
    assert deploy.incomplete(request)
    deploy_form.open_modal(needs, request, "t1")
    said = json.dumps(shown)
    assert '"value": "edge-1"' in said
    assert '"value": "west/dev"' in said
    assert "west/dev/edge-1" not in said


def test_a_place_beside_another_one_is_refused() -> None:
    request = Request("r1", "deploy", "U1", "C1", "", "west/dev/edge-1", {"to": "east/dev"})
    assert not deploy.incomplete(request)
    with pytest.raises(InvalidInput, match="is not in `--to east/dev`"):
        deploy_asked(Showing(None), gateway="west/dev/edge-1", to="east/dev", tag="2.11.1")


def test_a_namespace_alone_brings_every_cluster_to_choose_from() -> None:
    with pytest.raises(Ambiguous) as error:
        deploy_asked(Showing(None), gateway="edge-1", to="dev", tag="2.11.1")
    assert '"value": "deploy edge-1 --to=west/dev"' in shown(
        error.value, "deploy", "edge-1", to="dev"
    )


@pytest.mark.parametrize(
    ("option", "value"), [("cpu", "abc"), ("memory", "much"), ("replicas", 20000), ("tag", "!")]
)
def test_a_wrong_value_is_said_of_the_option_that_it_was_given_with(
    option: str, value: Any
) -> None:
    options: dict[str, Any] = {"tag": "2.11.1", option: value}
    with pytest.raises(InvalidInput, match=f"`--{option}` is “{value}”"):
        deploy_asked(Showing(None), gateway="edge-1", to="west/dev", **options)


def test_a_wrong_value_of_a_field_is_said_of_the_field() -> None:
    with pytest.raises(InvalidInput, match=r"^resources\.cpu is “abc”"):
        deploy_asked(
            Showing(None),
            gateway="edge-1",
            to="west/dev",
            tag="2.11.1",
            set=["resources.cpu=abc"],
        )


def test_what_this_bot_deployed_is_of_the_gateway_that_it_was_deployed_as() -> None:
    spec: Any = {"apim": {"instance": "contoso"}, "gateway": "edge-1"}
    live: Any = {"metadata": {"annotations": {"gateway-bot.io/spec": json.dumps(spec)}}, "spec": {}}
    needs: Any = SimpleNamespace(clusters={"west": Showing(live)})
    assert desired.resource_at(needs, "west", "dev", "shop") == "contoso/edge-1"


@pytest.mark.parametrize(
    ("typed", "command"),
    [
        ("rollback edge-1 3", "rollback edge-1 --to-revision=3"),
        ("scale edge-1 4", "scale edge-1 --replicas=4"),
    ],
)
def test_a_bare_number_is_taken_for_the_only_option_that_is_one(typed: str, command: str) -> None:
    with pytest.raises(Misspelt) as wrong:
        parse(typed, VERBS, "/gateway")
    assert command in wrong.value.remedy


def test_a_bare_number_that_several_options_could_mean_offers_none() -> None:
    with pytest.raises(InvalidInput, match="does not know what to do with “3”") as wrong:
        parse("deploy edge-1 3", VERBS, "/gateway")
    assert not isinstance(wrong.value, Misspelt)
