"""Retention of metrics: what a stack and its policy come to, and what a server says that it runs."""

import re
from dataclasses import dataclass

from firewatch.api.metrics import Retention
from firewatch.api.resource import parse_duration
from firewatch.api.retention import DERIVED_PERCENTAGE, MetricsRetention
from firewatch.build.yaml_text import load_yaml

_MEBI = 1 << 20
# Prometheus' own units are powers of two, whichever of the two spellings it prints.
_UNITS = {"": 0, "K": 10, "M": 20, "G": 30, "T": 40, "P": 50, "E": 60}
_SIZE = re.compile(r"([0-9]+)([KMGTPE]?)i?B")


@dataclass(frozen=True)
class RetentionInForce:
    """What Prometheus is told to keep."""

    time: str
    size: str = ""
    """In Prometheus' units; empty when only time counts."""
    policy: str = ""
    """Name of the RetentionPolicy that says so; empty when it is the stack itself."""

    def amounts(self) -> tuple[float, int]:
        """Return seconds and bytes; 0 bytes is no limit."""
        return (parse_duration(self.time), parse_size(self.size) if self.size else 0)


def own_retention(own: Retention) -> RetentionInForce:
    """Return the retention of a stack without a policy."""
    return RetentionInForce(own.time, own.size or "")


def policy_retention(
    own: Retention, wanted: MetricsRetention, *, policy: str, volume: int | None
) -> RetentionInForce:
    """Return what a policy comes to; ``volume`` is the size of the smallest volume in bytes."""
    size = wanted.size or ""
    if not size and volume is not None:
        share = wanted.percentage or DERIVED_PERCENTAGE
        size = f"{max(1, volume * share // 100 // _MEBI)}MB"
    return RetentionInForce(wanted.time or own.time, size, policy)


def parse_size(text: str) -> int:
    """Return the bytes of a size as Prometheus takes it (``40GB``) or prints it (``1GiB512MiB``)."""
    parts = _SIZE.findall(text)
    if not parts or "".join(f"{number}{unit}" for number, unit in parts) != re.sub("i?B", "", text):
        raise ValueError(f"{text!r} is not a size such as 40GB")
    return sum(int(number) << _UNITS[unit] for number, unit in parts)


def running_retention(configuration: str) -> tuple[float, int] | None:
    """Return seconds and bytes that a running configuration names; None if it names no time."""
    storage = load_yaml(configuration).get("storage") or {}
    retention = (storage.get("tsdb") or {}).get("retention") or {}
    if "time" not in retention:
        return None
    size = str(retention.get("size") or "")
    return (parse_duration(str(retention["time"])), parse_size(size) if size else 0)
