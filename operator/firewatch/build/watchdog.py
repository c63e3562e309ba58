"""The alert that always fires, as proof that alerts arrive."""

from collections.abc import Mapping

from firewatch.api.alerting import Watchdog
from firewatch.api.resource import Object
from firewatch.build.routing import NOBODY
from firewatch.build.yaml_text import dump_yaml

ALERT = "Watchdog"
GROUP = "firewatch:watchdog"
MATCHERS = (f'alertname="{ALERT}"', 'namespace=""')
"""Of the alert; one of this name that is a policy's has a namespace."""


def render_watchdog_rules() -> str:
    """Return the rule file with the alert Watchdog."""
    rule: Object = {
        "alert": ALERT,
        "expr": "vector(1)",
        "labels": {"severity": "none"},
        "annotations": {
            "summary": "Alerting works.",
            "description": "This alert always fires. If it is missing somewhere, alerts do not get"
            " there.",
        },
    }
    return dump_yaml({"groups": [{"name": GROUP, "rules": [rule]}]})


def render_watchdog_route(wanted: Watchdog | None, receivers: Mapping[str, str]) -> Object:
    """Return the route of the alert."""
    route: Object = {"matchers": [*MATCHERS]}
    receiver = receivers[wanted.receiver] if wanted else ""
    if wanted is None or not receiver:
        return {**route, "receiver": NOBODY}
    return {
        **route,
        "receiver": receiver,
        "group_by": ["alertname"],
        "group_wait": "0s",
        "group_interval": wanted.repeat_interval,
        "repeat_interval": wanted.repeat_interval,
    }
