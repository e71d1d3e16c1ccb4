"""What handlers need, as far as a test gives it."""

from typing import Any, TypeVar, get_type_hints

N = TypeVar("N")


class Unused:
    """Stands for what a test does not give, and fails the test that uses it."""

    def __init__(self, name: str) -> None:
        self.__name = name

    def __getattr__(self, attribute: str) -> Any:
        raise AssertionError(f"{self.__name}.{attribute} is used, which this test does not give")


def needs(kind: type[N], **given: Any) -> N:
    """An instance of a dataclass of needs. TypeError for what it does not name."""
    unused = {name: Unused(name) for name in get_type_hints(kind) if name not in given}
    return kind(**unused, **given)
