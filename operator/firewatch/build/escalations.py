"""Escalations as alerting rules: an alert that is not over in time fires another one.

The other one carries all labels of the alert, and on its way to Alertmanager it gets the alert's name
as well: whatever mutes the alert by its labels mutes both.
"""

from collections.abc import Iterator, Sequence

from firewatch.api.alerts import AlertPolicySpec, PrometheusRule
from firewatch.api.resource import Object, parse_duration
from firewatch.api.routes import Escalation, PolicyRoute
from firewatch.build import names
from firewatch.build.matchers import Matcher, parse_matcher

ALERT = "FirewatchEscalation"
LABEL = "firewatch_escalation"
"""Says which escalation it is; no other alert has it."""
ORIGIN = "firewatch_origin"
"""Name of the alert; Alertmanager gets it as ``alertname``."""


def escalation_id(policy: str, route: int, level: int) -> str:
    """Return the value of the label for one entry of ``escalate``."""
    return names.short_hash(f"{policy}/{route}/{level}", 16)


def escalation_rules(spec: AlertPolicySpec, policy: str) -> tuple[PrometheusRule, ...]:
    """Return the rules of a policy's escalations."""
    return tuple(_rules(spec.routes, policy))


def _rules(routes: Sequence[PolicyRoute], policy: str) -> Iterator[PrometheusRule]:
    for index, route in enumerate(routes):
        try:
            matchers = [parse_matcher(text) for text in route.matchers]
        except ValueError:
            continue  # the route is left out as well, and named where routes are
        for level, escalation in enumerate(route.escalate):
            yield _rule(matchers, escalation, escalation_id(policy, index, level))


def _rule(matchers: Sequence[Matcher], escalation: Escalation, identity: str) -> PrometheusRule:
    severity = {"severity": escalation.severity} if escalation.severity else {}
    return PrometheusRule(
        alert=ALERT,
        expr=_expression(matchers, parse_duration(escalation.after)),
        labels={**severity, LABEL: identity},
        annotations={
            "summary": f"{{{{ $labels.{ORIGIN} }}}} is not over after {escalation.after}.",
            "description": f"The alert {{{{ $labels.{ORIGIN} }}}} has been active for"
            " {{ $value | humanizeDuration }}.",
        },
    )


def _expression(matchers: Sequence[Matcher], seconds: float) -> str:
    selector = ", ".join(map(str, (*matchers, Matcher(LABEL, "=", ""))))
    return (
        f"label_replace(time() - ALERTS_FOR_STATE{{{selector}}} >= {seconds:g}"
        f' and ignoring (alertstate) ALERTS{{alertstate="firing", {selector}}},'
        f' "{ORIGIN}", "$1", "alertname", "(.+)")'
    )


def origin_relabeling() -> list[Object]:
    """Return how Prometheus gives an escalation its alert's name for Alertmanager."""
    return [
        {"source_labels": [ORIGIN], "regex": "(.+)", "target_label": "alertname"},
        {"regex": ORIGIN, "action": "labeldrop"},
    ]


def escalation_drop() -> list[Object]:
    """Return how escalations are kept from the operator, which acts on the alerts themselves."""
    return [{"source_labels": [LABEL], "regex": ".+", "action": "drop"}]
