"""The advice on all rules of a policy (pure)."""

from collections.abc import Iterator
from datetime import timedelta

from firewatch.api.alerts import RuleWarning
from firewatch.api.metrics import Metrics
from firewatch.api.resource import Object, parse_duration
from firewatch.build.lint.findings import NAME_FINDINGS, RULE_FINDINGS, Finding, Place, Scrapes
from firewatch.build.lint.uses import find_uses


def scrapes_of(metrics: Metrics | None) -> Scrapes:
    """Return how often a stack's jobs are scraped."""
    if metrics is None:
        return Scrapes()
    jobs = {job.name: job.interval for job in metrics.scrape_jobs if job.interval}
    return Scrapes(
        timedelta(seconds=parse_duration(metrics.scrape_interval)),
        {name: timedelta(seconds=parse_duration(text)) for name, text in jobs.items()},
    )


def lint_policy(spec: Object, scrapes: Scrapes) -> Iterator[RuleWarning]:
    """Yield the warnings on a policy's groups, in the order of its rules.

    The spec comes as data: a status is written for each of thousands of policies, and reading all of
    them into models once more would show.
    """
    has_runbook = bool(spec.get("runbookUrl"))
    for group in spec.get("groups") or ():
        for index, rule in enumerate(group["rules"]):
            name = rule.get("alert") or rule.get("record") or ""
            for code, message in _findings(rule, scrapes, has_runbook=has_runbook):
                yield RuleWarning(
                    group=group["name"], index=index, rule=name, code=code, message=message[:512]
                )


def _findings(rule: Object, scrapes: Scrapes, *, has_runbook: bool) -> Iterator[Finding]:
    uses = find_uses(rule["expr"])
    place = Place(rule, uses, scrapes, has_runbook)
    found: dict[Finding, None] = {}
    for look in RULE_FINDINGS:
        found |= dict.fromkeys(look(place))
    for metric in dict.fromkeys(use.metric for use in uses):
        found |= dict.fromkeys(lint_metric(metric))
    yield from found


def lint_metric(metric: str) -> list[Finding]:
    """Return what the name of a metric alone shows."""
    return [finding for look in NAME_FINDINGS for finding in look(metric)]
