"""What an API server warns of beside an answer: read whole, cut, and without secrets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.kube.warnings import distinct, warnings_in

POD_SECURITY = (
    'would violate PodSecurity "restricted:latest": allowPrivilegeEscalation != false (container '
    '"gateway" must set securityContext.allowPrivilegeEscalation=false)'
)


def quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'299 - "{escaped}"'


def test_each_header_is_a_warning_and_what_is_quoted_in_it_stays() -> None:
    texts = ("policy/v1beta1 is deprecated in v1.21+", POD_SECURITY)
    assert warnings_in(map(quoted, texts)) == texts


def test_several_in_one_header_and_the_same_one_again_are_told_apart() -> None:
    joined = f'{quoted("a, b")}, 299 kube-api "c" "Sat, 28 Nov 2026 10:00:00 GMT"'
    assert warnings_in([joined, quoted("a, b")]) == ("a, b", "c")


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("one\nline\tand \u202eits end", "one line and  its end"),
        ("Bearer abcdefghijklmnop", "Bearer [hidden]"),
        ("x" * 500, "x" * 399 + "…"),
        ("   ", None),
    ],
)
def test_a_warning_is_one_line_of_a_bounded_length_without_secrets(
    said: str, shown: str | None
) -> None:
    assert warnings_in([quoted(said)]) == ((shown,) if shown else ())


def test_of_very_many_the_first_are_given() -> None:
    assert warnings_in(quoted(str(n)) for n in range(100)) == tuple(map(str, range(8)))
    assert distinct(["a", "", "a", "b"]) == ("a", "b")


@given(st.lists(st.text(max_size=200), max_size=20))
def test_whatever_a_server_sends_is_read(headers: list[str]) -> None:
    assert all(text and len(text) <= 400 for text in warnings_in(headers))


@given(
    st.lists(
        st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20),
        max_size=8,
        unique=True,
    )
)
def test_what_was_quoted_is_read_as_it_was(texts: list[str]) -> None:
    assert warnings_in(map(quoted, texts)) == tuple(texts)
