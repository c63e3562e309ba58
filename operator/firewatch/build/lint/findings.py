"""One function for each kind of finding (pure)."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from firewatch.api.resource import Object
from firewatch.build.lint.uses import Use

Finding = tuple[str, str]
"""Code and message."""


@dataclass(frozen=True)
class Scrapes:
    """How often metrics are scraped."""

    interval: timedelta = timedelta(seconds=15)
    of_job: Mapping[str, timedelta] = field(default_factory=dict)

    def of(self, use: Use) -> timedelta:
        """Return the interval of the job that a use names, else the usual one."""
        return self.of_job.get(use.job or "", self.interval)


@dataclass(frozen=True)
class Place:
    """What a rule is judged by."""

    rule: Object
    """As in a rule file."""
    uses: Sequence[Use]
    scrapes: Scrapes
    has_runbook: bool = False
    """Whether the policy names a runbook for all its alerts."""


_COUNTER_FUNCTIONS = frozenset({"rate", "irate", "increase", "resets"})
_COUNTER_SUFFIXES = ("_total", "_count", "_sum", "_bucket")
_SERIES_SUFFIX = re.compile(r"_(total|count|sum|bucket)$")
_OTHER_UNITS = {
    **dict.fromkeys(("ms", "millis", "milliseconds", "us", "micros", "microseconds"), "seconds"),
    **dict.fromkeys(("minutes", "hours", "days"), "seconds"),
    **dict.fromkeys(("kb", "mb", "gb", "kib", "mib", "gib", "kilobytes", "megabytes"), "bytes"),
    **dict.fromkeys(("percent", "percentage"), "ratio"),
}
_TIMES = frozenset({"time", "duration", "latency"})
_SIZES = frozenset({"size", "memory"})
_UNITS = frozenset({"seconds", "bytes", "ratio", "celsius", "joules", "volts", "info"})
_GAUGE_WORDS = frozenset({"active", "current", "open", "pending", "running"})
_VARYING = re.compile(
    r"get|post|put|patch|delete|[1-5](\d\d|xx)|p?(50|90|95|99|999)|success(es)?|fail(ures?|ed)|succeeded"
    r"|commit|rollback|ins|upd|del"
)
_CPU_MODES = frozenset({"user", "system", "idle", "iowait"})
_RECORDING = re.compile(r"[a-zA-Z0-9_]+:[a-zA-Z0-9_]+:[a-zA-Z0-9_]+")
_OWN_SERIES = frozenset({"up", "ALERTS", "ALERTS_FOR_STATE"})
_SCRAPES_PER_WINDOW = 4


def _words(metric: str) -> list[str]:
    return _SERIES_SUFFIX.sub("", metric).lower().split("_")


def unit_suffix(metric: str) -> Iterator[Finding]:
    """Look for names without a unit, or with one that is no base unit."""
    words = _words(metric)
    known = _UNITS & {*words}
    if metric.endswith("_per_second"):
        yield (
            "UnitSuffix",
            f"{metric}: a rate is for the query to compute; export a counter and use rate()",
        )
    elif words[-1] in _OTHER_UNITS:
        wanted = _OTHER_UNITS[words[-1]]
        yield "UnitSuffix", f"{metric}: use the base unit, {wanted}, and name it as the suffix"
    elif _TIMES & {*words} and not known:
        yield "UnitSuffix", f"{metric}: its unit is missing; a time ends with _seconds"
    elif _SIZES & {*words} and not known:
        yield "UnitSuffix", f"{metric}: its unit is missing; a size ends with _bytes"


def group_prefix(metric: str) -> Iterator[Finding]:
    """Look for names that do not begin with the application or library that they belong to."""
    if "_" not in metric and ":" not in metric and metric not in _OWN_SERIES:
        yield "GroupPrefix", f"{metric}: begin the name with what it belongs to, as app_{metric}"


def varying_part(metric: str) -> Iterator[Finding]:
    """Look for parts of names that vary, since labels can be summed over and compared."""
    words = _words(metric)
    for word in words[1:]:
        if _VARYING.fullmatch(word) or ("cpu" in words and word in _CPU_MODES):
            yield (
                "VaryingName",
                f"{metric}: put {word} into a label, so that its siblings share one name",
            )
            return


def total_of_gauge(metric: str) -> Iterator[Finding]:
    """Look for gauges that call themselves counters by ``_total``."""
    if metric.endswith("_total") and _GAUGE_WORDS & {*_words(metric)}:
        yield "TotalOnGauge", f"{metric}: it goes up and down; only a counter ends with _total"


NAME_FINDINGS: tuple[Callable[[str], Iterator[Finding]], ...] = (
    unit_suffix,
    group_prefix,
    varying_part,
    total_of_gauge,
)
"""What a name alone shows."""


def counter_name(place: Place) -> Iterator[Finding]:
    """Look for ``_total`` without a function for counters, and the other way round."""
    for use in place.uses:
        counted = bool(_COUNTER_FUNCTIONS & {*use.functions})
        is_native = any(name.startswith("histogram_") for name in use.functions)
        if counted and not is_native and not use.metric.endswith(_COUNTER_SUFFIXES):
            if ":" not in use.metric:
                yield (
                    "CounterWithoutTotal",
                    f"{use.metric}: it is used as a counter; a counter ends with _total",
                )
        elif use.metric.endswith("_total") and not counted and not _is_absence(use):
            yield (
                "TotalWithoutRate",
                f"{use.metric}: the plain value of a counter says little; use rate(), or rename it",
            )


def _is_absence(use: Use) -> bool:
    return bool({"absent", "absent_over_time", "present_over_time", "timestamp"} & {*use.functions})


def latency_histogram(place: Place) -> Iterator[Finding]:
    """Look for latencies that are no histograms: averages hide what is slow."""
    for use in place.uses:
        plain = not use.metric.endswith(_COUNTER_SUFFIXES)
        is_latency = _TIMES & {*_words(use.metric)} and use.metric.endswith("_seconds")
        histogram = any(name.startswith("histogram_") for name in use.functions)
        if plain and is_latency and not histogram:
            yield (
                "LatencyNotHistogram",
                f"{use.metric}: a latency is a histogram; use histogram_quantile() over its _bucket",
            )


def rate_window(place: Place) -> Iterator[Finding]:
    """Look for windows of fewer than four scrapes: one that is missed blinds the rule."""
    for use in place.uses:
        if use.window is None or not _COUNTER_FUNCTIONS & {*use.functions}:
            continue
        least = _SCRAPES_PER_WINDOW * place.scrapes.of(use)
        if use.window < least:
            seconds = f"{least.total_seconds():g}s"
            yield (
                "ShortRateWindow",
                f"{use.metric}: the window holds fewer than four scrapes; use at least {seconds}",
            )


def recording_name(place: Place) -> Iterator[Finding]:
    """Look for recorded series that do not say at which level, of what and how."""
    name = place.rule.get("record")
    if name and not _RECORDING.fullmatch(name):
        yield (
            "RecordingName",
            f"{name}: name it level:metric:operation, as in job:http_requests:rate5m",
        )


def alert_fields(place: Place) -> Iterator[Finding]:
    """Look for alerts that do not wait, or do not say what is the case and where to read on."""
    if not place.rule.get("alert"):
        return
    if not place.rule.get("for"):
        yield "NoFor", "the alert fires at the first sample above; give it a for"
    annotations = place.rule.get("annotations") or {}
    if "summary" not in annotations:
        yield "NoSummary", "say in one line what is the case: annotation summary"
    if not place.has_runbook and not {"runbook_url", "runbook"} & annotations.keys():
        yield (
            "NoRunbook",
            "say what to do about it: annotation runbook_url, or the policy's runbookUrl",
        )


RULE_FINDINGS: tuple[Callable[[Place], Iterator[Finding]], ...] = (
    counter_name,
    latency_histogram,
    rate_window,
    recording_name,
    alert_fields,
)
"""What a rule shows."""
