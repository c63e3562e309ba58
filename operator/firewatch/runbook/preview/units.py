"""Values in Grafana's units, as short texts."""

import math
from collections.abc import Callable, Mapping

_BINARY = ("", "Ki", "Mi", "Gi", "Ti", "Pi")
_DECIMAL = ("", "k", "M", "G", "T", "P")
_SECONDS = ((86_400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))
_RATES = {"reqps": "req/s", "ops": "ops/s", "cps": "c/s", "wps": "wr/s"}


def format_value(value: float, unit: str) -> str:
    """Return a value with its unit; of units that are not known the bare value."""
    if not math.isfinite(value):
        return "-"
    if form := _FORMS.get(unit):
        return form(value)
    return _scaled(value, 1000.0, _DECIMAL, _RATES.get(unit, ""))


def _scaled(value: float, base: float, names: tuple[str, ...], unit: str) -> str:
    power = 0
    while abs(value) >= base and power < len(names) - 1:
        value, power = value / base, power + 1
    return f"{_digits(value)} {names[power]}{unit}".rstrip()


def _duration(seconds: float) -> str:
    for size, name in _SECONDS:
        if abs(seconds) >= size:
            return f"{_digits(seconds / size)} {name}"
    return "0 s"


def _digits(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"  # noqa: PLR2004 - three digits


_FORMS: Mapping[str, Callable[[float], str]] = {
    "none": _digits,
    "percent": lambda value: f"{_digits(value)} %",
    "percentunit": lambda value: f"{_digits(100 * value)} %",
    "bytes": lambda value: _scaled(value, 1024.0, _BINARY, "B"),
    "Bps": lambda value: _scaled(value, 1024.0, _BINARY, "B/s"),
    "s": _duration,
    "ms": lambda value: _duration(value / 1000),
    "d": lambda value: _duration(value * 86_400),
}
