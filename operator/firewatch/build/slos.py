"""Service level objectives as rules: recorded error ratios, the error budget, and burn-rate alerts.

The alerts are those of the Site Reliability Workbook (chapter 5, "Multiwindow, multi-burn-rate
alerts"): each asks for a burn rate over a long window, and over a short one so that it ends soon
after the trouble does. docs/objectives.md explains the numbers.

Rates of all and of bad events are recorded once; everything else is made of these few series, so that
a month costs no more than the hour, and a ratio weighs each moment by its traffic.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from firewatch.api.alerts import PrometheusRule
from firewatch.api.resource import format_duration, parse_duration
from firewatch.api.slos import Latency, Slo
from firewatch.api.thresholds import Severity
from firewatch.build.promql import aggregate, equal, number, quote, selector

ALERT = "ErrorBudgetBurn"
DATA_MISSING = "SLODataMissing"
BUCKET_MISSING = "SLOBucketMissing"
BAD = "slo:errors:rate5m"
"""Bad events per second; for a gauge, the share of the last five minutes in which it was bad."""
ALL = "slo:events:rate5m"
"""Events per second; 1 for a gauge."""
RATIO = "slo:error:ratio"
"""Share of events that were bad, over the window in the label ``window``."""
REMAINING = "slo:error_budget_remaining:ratio"
OBJECTIVE = "slo:objective:ratio"
PERIOD_INTERVAL = "2m"
"""How often the whole window is looked at; an instant query sees no sample that is older than 5m."""

_RATE = "5m"
_MIN_RATE = 0.05
_MISSING_FOR = "3m"
_MINUTE = 60
_BASE = 30 * 24 * 60
"""Minutes of the window for which the workbook gives its windows."""


@dataclass(frozen=True)
class _Pair:
    """Two windows over which the error budget is watched, for an objective over thirty days."""

    long: int
    """Minutes."""
    short: int
    """Minutes."""
    factor: Decimal
    """How many times faster than allowed the budget is used up."""
    severity: Severity


# 2 % of the budget within an hour, 5 % within six, 10 % within a day, 10 % within three.
_PAIRS = (
    _Pair(60, 5, Decimal("14.4"), Severity.CRITICAL),
    _Pair(360, 30, Decimal(6), Severity.CRITICAL),
    _Pair(1440, 120, Decimal(3), Severity.WARNING),
    _Pair(4320, 360, Decimal(1), Severity.WARNING),
)


def build_slo_rules(slo: Slo, policy: str) -> tuple[PrometheusRule, ...]:
    """Return what is evaluated often: rates, ratios and alerts. ``policy`` is its namespace and name."""
    return (
        *_rates(slo, policy),
        *_ratios(slo, policy),
        *_burn_alerts(slo, policy),
        *_guards(slo, policy),
    )


def build_period_rules(slo: Slo, policy: str) -> tuple[PrometheusRule, ...]:
    """Return what is evaluated every ``PERIOD_INTERVAL``: how much of the error budget is left."""
    ratio = f"max without (window) ({_recorded(slo, policy, RATIO, window=slo.window)})"
    return (
        _record(slo, policy, RATIO, _over(slo, policy, slo.window), window=slo.window.value),
        _record(slo, policy, REMAINING, f"1 - {ratio} / {_plain(_budget(slo))}"),
        _record(slo, policy, OBJECTIVE, f"vector({_plain(1 - _budget(slo))})"),
    )


def _rates(slo: Slo, policy: str) -> Iterator[PrometheusRule]:
    bad, total = _indicator(slo)
    yield _record(slo, policy, ALL, total)
    yield _record(slo, policy, BAD, bad)


def _indicator(slo: Slo) -> tuple[str, str]:
    """Return the expressions of bad and of all events per second."""
    if slo.gauge:
        good = aggregate("avg", f"avg_over_time({slo.gauge.metric}[{_RATE}])", by=slo.by)
        return f"1 - {good}", f"0 * {good} + 1"
    if slo.latency:
        total = _rate_of(slo, selector(f"{slo.latency.histogram}_count", _matchers(slo.latency)))
        fast = _rate_of(slo, selector(f"{slo.latency.histogram}_bucket", _fast(slo.latency)))
        # Scrapes may come between a bucket and the count, so that the difference is below 0.
        return f"clamp_min({total} - {fast}, 0)", total
    assert slo.events is not None  # a CEL rule, and the check of the model
    total = _rate_of(slo, slo.events.total)
    # Before the first bad event there may be no series of bad ones.
    return f"{_rate_of(slo, slo.events.bad)} or 0 * {total}", total


def _ratios(slo: Slo, policy: str) -> Iterator[PrometheusRule]:
    minutes = {
        each for pair in _PAIRS for each in (_scaled(pair.long, slo), _scaled(pair.short, slo))
    }
    for each in sorted(minutes):
        window = _text(each)
        yield _record(slo, policy, RATIO, _over(slo, policy, window), window=window)


def _over(slo: Slo, policy: str, window: str) -> str:
    """Return the share of bad events over a window; 0 where there was no event."""
    bad, total = (f"avg_over_time({_recorded(slo, policy, n)}[{window}])" for n in (BAD, ALL))
    return f"{bad} / ({total} > 0) or 0 * {total}"


def _burn_alerts(slo: Slo, policy: str) -> Iterator[PrometheusRule]:
    for pair in _PAIRS:
        limit = pair.factor * _budget(slo)
        if limit >= 1:
            continue  # not even if everything is bad
        above = f"> {_plain(limit)}"
        long, short = _text(_scaled(pair.long, slo)), _text(_scaled(pair.short, slo))
        burns = (
            f"{_recorded(slo, policy, RATIO, window=long)} {above}"
            f" and ignoring (window) {_recorded(slo, policy, RATIO, window=short)} {above}"
        )
        yield PrometheusRule(
            alert=ALERT,
            expr=burns + _guard(slo, policy, long),
            labels={
                **slo.labels,
                **_named(slo, policy),
                "severity": pair.severity.value,
                "long": long,
                "short": short,
            },
            annotations=_annotations(slo, pair, long),
        )


def _guard(slo: Slo, policy: str, long: str) -> str:
    """Return the part of the alert that asks for enough events."""
    least = _MIN_RATE if slo.min_rate is None else slo.min_rate
    if slo.gauge or not least:
        return ""
    total = f"avg_over_time({_recorded(slo, policy, ALL)}[{long}])"
    return f" and ignoring (window) {total} >= {number(least)}"


def _annotations(slo: Slo, pair: _Pair, long: str) -> dict[str, str]:
    hours = int(parse_duration(slo.window) / 3600 / float(pair.factor))
    places = " ".join(f"{{{{ $labels.{label} }}}}" for label in slo.by)
    of_what = "of the time" if slo.gauge else "of the events"
    return {
        "summary": f"{slo.name}{f' ({places})' if places else ''}: the error budget is used up"
        f" {_plain(pair.factor)} times as fast as the objective allows",
        "description": f"{{{{ $value | humanizePercentage }}}} {of_what} of the last {long} were bad;"
        f" the objective is {number(slo.objective)} % good over {slo.window}. At this pace its whole"
        f" error budget is gone within {hours}h.",
    }


def _guards(slo: Slo, policy: str) -> Iterator[PrometheusRule]:
    """Yield the alerts that tell of an objective that cannot be judged: it would never fire."""
    labels = {**slo.labels, **_named(slo, policy), "severity": Severity.WARNING.value}
    yield PrometheusRule(
        alert=DATA_MISSING,
        expr=f"absent({_recorded(slo, policy, ALL)})",
        for_=_MISSING_FOR,
        labels=labels,
        annotations={
            "summary": f"{slo.name}: there are no data to judge the objective by",
            "description": "No series of its indicator has had samples for some minutes. Look whether"
            " the job is scraped, and whether the names in the AlertPolicy are right.",
        },
    )
    if slo.latency:
        buckets = f"{slo.latency.histogram}_bucket"
        every = aggregate("count", selector(buckets, _matchers(slo.latency)), by=slo.by)
        wanted = aggregate("count", selector(buckets, _fast(slo.latency)), by=slo.by)
        yield PrometheusRule(
            alert=BUCKET_MISSING,
            expr=f"{every} unless {wanted}",
            for_=_MISSING_FOR,
            labels=labels,
            annotations={
                "summary": f"{slo.name}: no bucket of {slo.latency.histogram} ends at"
                f" {slo.latency.below}",
                "description": "How many requests are fast enough cannot be told. Give the histogram a"
                f" bucket that ends at {_seconds(slo.latency)}, or choose a limit at which one ends.",
            },
        )


def _record(
    slo: Slo, policy: str, name: str, expression: str, *, window: str = ""
) -> PrometheusRule:
    return PrometheusRule(record=name, expr=expression, labels=_named(slo, policy, window=window))


def _named(slo: Slo, policy: str, *, window: str = "") -> dict[str, str]:
    """Return the labels that no objective of another policy has, and the window if there is one."""
    found = {"slo": slo.name, "slo_policy": policy}
    return {**found, "window": window} if window else found


def _matchers(latency: Latency) -> list[str]:
    return equal(latency.match)


def _fast(latency: Latency) -> list[str]:
    """Return the matchers of the bucket that ends at the limit.

    Since Prometheus 3.0 a whole number is stored as ``1.0``, from other sources as ``1``.
    """
    seconds = _seconds(latency)
    ends = f"{seconds}|{seconds}.0" if seconds.isdecimal() else seconds
    return [*_matchers(latency), f"le=~{quote(ends.replace('.', '[.]'))}"]


def _seconds(latency: Latency) -> str:
    return number(parse_duration(latency.below))


def _scaled(minutes: int, slo: Slo) -> int:
    """Return a window in proportion to that of the objective, in minutes."""
    whole = parse_duration(slo.window) / _MINUTE
    return max(1, round(minutes * whole / _BASE))


def _text(minutes: int) -> str:
    return format_duration(minutes * _MINUTE)


def _budget(slo: Slo) -> Decimal:
    """Return the share of events that may be bad, without the noise of binary fractions."""
    return 1 - Decimal(str(slo.objective)) / 100


def _plain(value: Decimal) -> str:
    return f"{value.normalize():f}"


def _recorded(slo: Slo, policy: str, name: str, *, window: str = "") -> str:
    """Return a recorded series of the objective."""
    return selector(name, equal(_named(slo, policy, window=window)))


def _rate_of(slo: Slo, series: str) -> str:
    return aggregate("sum", f"rate({series}[{_RATE}])", by=slo.by)
