"""The rules of checks that run all the time: alerts, and an objective with its error budget each."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from firewatch.api.resource import Object
from firewatch.api.slos import Slo
from firewatch.build.objects import Stack
from firewatch.build.packs.alert import Alert
from firewatch.build.rule_text import render_rule_file
from firewatch.build.rules import RESERVED_PREFIX, rule_entry
from firewatch.build.slos import PERIOD_INTERVAL, build_period_rules, build_slo_rules


@dataclass(frozen=True)
class Check:
    """What is told of a check."""

    slo: Slo
    """Its objective, which has its name."""
    alerts: tuple[Alert, ...]
    alert_labels: Mapping[str, str] = field(default_factory=dict)
    """Labels of the alerts that their series do not have."""


def render_check_rules(stack: Stack, kind: str, checks: Iterable[Check]) -> str | None:
    """Return the rule file of a stack's checks of one kind; None if there are none.

    The kind is the label ``pack`` of the alerts, and the last part of ``slo_policy``.
    """
    groups = [group for check in checks for group in _groups(stack, kind, check)]
    return render_rule_file(groups) if groups else None


def _groups(stack: Stack, kind: str, check: Check) -> Iterator[Object]:
    # No policy has a slash in its name.
    owner = f"{stack.namespace}/{stack.name}/{kind}"
    url = stack.spec.packs.runbook_url if stack.spec.packs else None
    alerts = (alert.rule(kind, url) for alert in check.alerts)
    labelled = ({**rule, "labels": {**check.alert_labels, **rule["labels"]}} for rule in alerts)
    title, name = f"{RESERVED_PREFIX}{kind}", check.slo.name
    rules = map(rule_entry, build_slo_rules(check.slo, owner))
    period = map(rule_entry, build_period_rules(check.slo, owner))
    yield {"name": f"{title}:alerts:{name}", "rules": [*labelled]}
    yield {"name": f"{title}:slo:{name}", "rules": [*rules]}
    yield {
        "name": f"{title}:slo-period:{name}",
        "interval": PERIOD_INTERVAL,
        "rules": [*period],
    }
