"""Resource quantities: `500m`, `2Gi`, as the API machinery reads and writes them."""

import re
from decimal import ROUND_CEILING, Decimal

_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_DECIMAL_SUFFIXES = {exponent: suffix for suffix, exponent in _DECIMAL.items()}
_BINARY_SUFFIXES = sorted(((power, suffix) for suffix, power in _BINARY.items()), reverse=True)
_SHAPE = re.compile(r"^([+-]?(?:\d+\.?\d*|\.\d+))(Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE]?|[eE][+-]?\d+)$")

PATTERN_MESSAGE = (
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
)


def parse(text: str | int | float) -> Decimal:
    """The number a quantity stands for. ValueError, in the API server's words, for other text."""
    found = _SHAPE.match(str(text))
    if found is None:
        raise ValueError(PATTERN_MESSAGE)
    number, suffix = Decimal(found[1]), found[2]
    if suffix in _BINARY:
        return number * (1 << _BINARY[suffix])
    if suffix in _DECIMAL:
        return number.scaleb(_DECIMAL[suffix])
    return number.scaleb(int(suffix[1:]))


def canonical(text: str | int | float) -> str:
    """The same quantity in the form the server stores: no fraction, the largest fitting suffix."""
    value = parse(text)
    shape = _SHAPE.match(str(text))
    suffix = shape[2] if shape else ""
    if suffix in _BINARY and value == value.to_integral_value():
        if value == 0:
            return "0"
        for power, name in _BINARY_SUFFIXES:
            if value % (1 << power) == 0:
                return f"{int(value) >> power}{name}"
        return str(int(value))
    return _decimal(value, exponent_form=bool(re.match(r"^[eE][+-]?\d", suffix)))


def _decimal(value: Decimal, *, exponent_form: bool) -> str:
    if value == 0:
        return "0"
    nano = value.scaleb(9).to_integral_value(rounding=ROUND_CEILING)
    mantissa, exponent = int(nano), -9
    while mantissa % 1000 == 0 and exponent < 18:
        mantissa //= 1000
        exponent += 3
    if exponent_form:
        return f"{mantissa}e{exponent}" if exponent else str(mantissa)
    return f"{mantissa}{_DECIMAL_SUFFIXES[exponent]}"
