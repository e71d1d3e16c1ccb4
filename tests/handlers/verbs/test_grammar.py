import contextlib
import json
import shlex
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from deploy.errors import InvalidInput
from handlers.verbs import grammar
from handlers.verbs.grammar import Command
from handlers.verbs.table import VERBS
from handlers.verbs.verb import AnyVerb, Option
from handlers.views.errors import Misspelt, trouble


def parse(text: str) -> Command:
    return grammar.parse(text, VERBS, "/gateway")


def test_nothing_typed_asks_for_help() -> None:
    assert parse("   ").verb.name == "help"


def test_a_gateway_and_options_are_read_in_any_order() -> None:
    command = parse("deploy --tag 2.11.1 edge-1 --to=west/dev --replicas 2 --take-over")
    assert command.gateway == "edge-1"
    assert command.options == {
        "tag": "2.11.1",
        "to": "west/dev",
        "replicas": 2,
        "take-over": True,
    }


def test_dashes_quotes_and_spaces_that_an_editor_changed_are_read_as_meant() -> None:
    command = parse("deploy\u00a0edge-1 —tag “2.11.1” ––to west/dev –reason «Ana’s — really»")
    assert command.options == {"tag": "2.11.1", "to": "west/dev", "reason": "Ana's — really"}


def test_a_dash_within_quotes_is_no_option() -> None:
    assert parse("restart edge-1 --reason “—fix”").options == {"reason": "—fix"}


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("deplyo edge-1", "Did you mean `/gateway deploy edge-1`?"),
        ("deploy edge-1 --tga 2.11.1", "Did you mean `/gateway deploy edge-1 --tag 2.11.1`?"),
        ("DEPLOY edge-1 --TO west/dev --Tga=1", "`deploy` has no option `--Tga`"),
        ("west/dev/x", "Did you mean `/gateway status west/dev/x`?"),
        ("west/dev/x --watch", "Did you mean `/gateway status west/dev/x --watch`?"),
        ("help deplyo", "Did you mean `/gateway help deploy`?"),
        ("deploy edge-1 --tag", "Write `/gateway deploy edge-1 --tag <tag>`."),
        ("deploy edge-1 --tag --to west/dev", "`--tag` needs a value"),
        ("deploy edge-1 --tag 1 --tag 2", "given twice"),
        ("deploy edge-1 --replicas many", "not a number"),
        ("deploy edge-1 edge-2", "edge-2"),
        ("deploy --take-over=yes edge-1", "takes no value"),
        ('deploy "edge-1', "quote"),
        ("xyzzy", "`/gateway help` lists the commands."),
        (
            "scale",
            "Required: a gateway and `--replicas`. Write `/gateway scale <gateway> --replicas <number>`.",
        ),
        (
            "scale edge-1",
            "Required: `--replicas`. Write `/gateway scale edge-1 --replicas <number>`.",
        ),
        ("deny 4F2ABC", "Write `/gateway deny 4F2ABC --reason <text>`."),
        ("window edge-1", "Required: `--for` and `--reason`."),
        ("expiring edge-1 --snooze 3d", "--snooze 3d --reason <text>`."),
        (
            "regenerate-key edge-1",
            "Write `/gateway regenerate-key edge-1 --key {primary|secondary}`.",
        ),
        ("rotate edge-1 --key=secndary", "Did you mean `/gateway rotate edge-1 --key=secondary`?"),
        ("deploy edge-1 --service x", "It can be LoadBalancer, ClusterIP or NodePort."),
        (
            "deploy edge-1 --TAG",
            "`--TAG` needs a value. Write `/gateway deploy edge-1 --TAG <tag>`.",
        ),
    ],
)
def test_a_wrong_command_says_what_is_wrong_and_what_to_write(typed: str, said: str) -> None:
    with pytest.raises(InvalidInput) as error:
        parse(typed)
    assert said in str(error.value)


@pytest.mark.parametrize("verb", [verb.name for verb in VERBS])
def test_every_verb_explains_itself(verb: str) -> None:
    assert parse(f"{verb} --help").help


@pytest.mark.parametrize("asked", ["{} -h", "{} ?", "{} edge-1 ?", "help {}", "HELP {}", "? {}"])
def test_how_a_verb_is_used_is_asked_in_every_way_people_ask(asked: str) -> None:
    command = parse(asked.format("status"))
    assert (command.verb.name, command.help) == ("status", True)


@pytest.mark.parametrize(
    ("typed", "verb", "gateway"),
    [
        ("?", "help", ""),
        ("-h", "help", ""),
        ("--help", "help", ""),
        ("undo edge-1", "rollback", "edge-1"),
        ("ls", "list", ""),
        ("ps", "list", ""),
        ("get edge-1", "status", "edge-1"),
        ("remove edge-1", "delete", "edge-1"),
        ("/gateway /Gateway status edge-1", "status", "edge-1"),
        ("STATUS Edge-1", "status", "Edge-1"),
    ],
)
def test_what_people_know_from_elsewhere_is_understood(typed: str, verb: str, gateway: str) -> None:
    command = parse(typed)
    assert (command.verb.name, command.gateway, command.help) == (verb, gateway, False)


def test_the_case_of_an_option_does_not_matter() -> None:
    assert parse("scale edge-1 --Replicas 3").options == {"replicas": 3}
    with pytest.raises(InvalidInput, match="`--TAG` is given twice"):
        parse("deploy edge-1 --tag 1 --TAG 2")


def test_no_word_means_two_verbs() -> None:
    names = [name for verb in VERBS for name in (verb.name, *verb.synonyms)]
    assert len(names) == len(set(names))


@given(
    st.sampled_from(
        [v for v in VERBS if v.gateway == "required" and not any(o.required for o in v.options)]
    ),
    st.text(st.characters(codec="ascii", exclude_characters="-?"), min_size=1, max_size=20),
)
def test_the_command_that_was_meant_is_the_one_that_was_typed_but_for_the_word(
    verb: AnyVerb, gateway: str
) -> None:
    assume(gateway.casefold() != "/gateway")
    with pytest.raises(Misspelt) as error:
        parse(shlex.join([f"{verb.name}x", gateway]))
    command = parse(error.value.command)
    assert (command.verb, command.gateway) == (
        verb,
        parse(shlex.join([verb.name, gateway])).gateway,
    )


@pytest.mark.parametrize(
    "typed",
    [
        "unapprove 4F2ABC",
        "not-approve 4F2ABC",
        "resume edge-1",
        "delete edge-1 --without-volumes",
        "delete edge-1 --keep-volumes",
        "delete edge-1 --no-volumes",
        "deploy edge-1 --no-take-over",
        "manage-token edge-1 --no-end",
        "expiring edge-1 --unsnooze 3d",
    ],
)
def test_the_opposite_of_what_was_typed_is_never_offered(typed: str) -> None:
    with pytest.raises(InvalidInput) as error:
        parse(typed)
    assert not isinstance(error.value, Misspelt)


@pytest.mark.parametrize(
    ("typed", "runs"),
    [
        ("aprove 4F2ABC --plan 5d1c02aa", False),
        ("APPROVE 4F2ABC --pln 5d1c02aa", False),
        ("deplyo edge-1", True),
        ("DEPLOY edge-1 --tga 2", True),
    ],
)
def test_a_click_runs_what_was_meant_unless_that_approves(typed: str, runs: bool) -> None:
    with pytest.raises(Misspelt) as error:
        parse(typed)
    assert error.value.runs is runs
    shown = json.dumps(trouble(error.value).blocks)
    assert ("Run it" in shown) is runs


def test_what_is_too_long_for_a_button_is_only_shown() -> None:
    with pytest.raises(Misspelt) as error:
        parse(f"deplyo edge-1 --reason '{chr(34) * 1500}'")
    assert "Run it" not in json.dumps(trouble(error.value).blocks)


@pytest.mark.parametrize("typed", ["reject", "disapprove", "refuse"])
def test_what_people_call_a_denial_is_one(typed: str) -> None:
    assert parse(f"{typed} 4F2ABC --reason no").verb.name == "deny"


_VALUES = {
    "text": st.text(
        st.characters(codec="ascii", exclude_categories=["Cc"])
        | st.sampled_from("“”„«»‘’—–\u00a0\u202f\n\té"),
        min_size=1,
        max_size=9,
    ),
    "number": st.integers(0, 999),
    "flag": st.just(True),
}


def _value(option: Option) -> st.SearchStrategy[Any]:
    if option.choices:
        return st.sampled_from(option.choices)
    return st.lists(_VALUES["text"], min_size=1) if option.kind == "many" else _VALUES[option.kind]


@st.composite
def commands(draw: st.DrawFn) -> tuple[AnyVerb, str, dict[str, Any]]:
    verb = draw(st.sampled_from([verb for verb in VERBS if verb.gateway != "none"]))
    chosen = draw(st.lists(st.sampled_from(verb.options), unique=True)) if verb.options else []
    chosen += [option for option in verb.options if option.required and option not in chosen]
    options = {option.name: draw(_value(option)) for option in chosen}
    return verb, draw(st.from_regex(r"[a-z0-9]+(/[a-z0-9]+)*", fullmatch=True)), options


@given(commands())
def test_what_is_written_out_as_typed_is_read_as_the_same(
    command: tuple[AnyVerb, str, dict[str, Any]],
) -> None:
    verb, gateway, options = command
    assert parse(grammar.typed(verb, gateway, options)) == Command(verb, gateway, options)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("restart edge-1 --reason “Ana's and Ben’s”", "Ana's and Ben's"),
        ("restart edge-1 --reason 'Ana’s “fix”'", "Ana’s “fix”"),
        ('restart edge-1 --reason "Ana’s “fix”"', "Ana’s “fix”"),
        ('restart edge-1 --reason "a fix”', "a fix"),
        ("restart edge-1 --reason ‘a fix’", "a fix"),
        ('restart edge-1 --reason “a fix"', "a fix"),
    ],
)
def test_plain_quotes_keep_what_they_enclose_and_curly_ones_are_read_as_plain(
    text: str, reason: str
) -> None:
    assert parse(text).options == {"reason": reason}


def test_what_only_a_form_can_say_is_not_written_out_as_typed() -> None:
    deploy = next(verb for verb in VERBS if verb.name == "deploy")
    assert grammar.typed(deploy, "edge-1", {"more": "logs: {level: warn}"}) == ""


@given(st.text(max_size=300))
def test_any_text_is_understood_or_explained(text: str) -> None:
    with contextlib.suppress(InvalidInput):
        assert parse(text).verb in VERBS


def test_what_is_wrong_says_that_nothing_was_run_and_what_the_button_does() -> None:
    for typed, label in (
        ("deplyo", "Open the deploy form"),
        ("deplyo edge-1 --tag 2.11.1", "Run it"),
    ):
        with pytest.raises(Misspelt) as error:
            parse(typed)
        said, *_, buttons = trouble(error.value).blocks
        assert said["text"]["text"].endswith("Nothing was run.")
        (button,) = buttons["elements"]
        assert button["text"]["text"] == label
        assert "style" not in button, "it is a guess"
