"""Quantities in the form in which the API server stores them.

The server rewrites ``1024Mi`` to ``1Gi`` and ``0.5`` to ``500m``; an object that keeps the user's
spelling would differ from the live one for ever.
"""

import math
import re
from collections.abc import Mapping
from fractions import Fraction

_BINARY = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_DECIMAL = {-9: "n", -6: "u", -3: "m", 0: "", 3: "k", 6: "M", 9: "G", 12: "T", 15: "P", 18: "E"}
_EXPONENT = {suffix: exponent for exponent, suffix in _DECIMAL.items()}
_KIBI = 1024
_SHOWN_LIMIT = 999.5
_LARGEST = 2**63 - 1
_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]*)?)([a-zA-Z]*)")


def canonical_quantity(text: str) -> str:
    """Return a quantity as the API server would write it."""
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a quantity such as 500m or 10Gi")
    number, suffix = Fraction(match[1].rstrip(".")), match[2]
    if suffix in _BINARY[1:]:
        value = min(number * _KIBI ** _BINARY.index(suffix), Fraction(_LARGEST))
        if value >= _KIBI and value.denominator == 1:
            return _binary(int(value))
        return _decimal(value)
    return _decimal(min(number * Fraction(10) ** _EXPONENT[suffix], Fraction(_LARGEST)))


def quantity_bytes(text: str) -> int:
    """Return a quantity of storage in whole bytes."""
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a quantity such as 10Gi")
    number, suffix = Fraction(match[1].rstrip(".")), match[2]
    if suffix in _BINARY[1:]:
        return int(number * _KIBI ** _BINARY.index(suffix))
    return int(number * Fraction(10) ** _EXPONENT[suffix])


def show_bytes(amount: float) -> str:
    """Return bytes as a quantity with three digits, for people: ``12.3Gi``."""
    value, index = max(0.0, amount), 0
    while value >= _SHOWN_LIMIT and index < len(_BINARY) - 1:
        value, index = value / _KIBI, index + 1
    digits = 0 if value >= 100 or not index else 1 if value >= 10 else 2  # noqa: PLR2004
    text = f"{value:.{digits}f}"
    return f"{text.rstrip('0').rstrip('.') if digits else text}{_BINARY[index]}"


def _binary(value: int) -> str:
    index = 0
    while value % _KIBI == 0 and index < len(_BINARY) - 1:
        value, index = value // _KIBI, index + 1
    return f"{value}{_BINARY[index]}"


def _decimal(value: Fraction) -> str:
    nano = math.ceil(value * 10**9)
    if nano == 0:
        return "0"
    for exponent, suffix in reversed(_DECIMAL.items()):
        unit = 10 ** (exponent + 9)
        if nano % unit == 0:
            return f"{nano // unit}{suffix}"
    raise AssertionError("a whole number of nano-units always fits")


def canonical_quantities(values: Mapping[str, str]) -> dict[str, str]:
    """Return quantities by name, in canonical form and order."""
    return {name: canonical_quantity(values[name]) for name in sorted(values)}
