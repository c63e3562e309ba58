"""The self-test: an alert for each receiver, which goes to it and nowhere else."""

from collections.abc import Iterable, Sequence

from firewatch.api.resource import Object
from firewatch.build.matchers import Matcher, render_matchers
from firewatch.build.routing import NOBODY

ALERT = "FirewatchSelfTest"
_SYNTHETIC = Matcher("synthetic", "=", "true")
_RECEIVER = "firewatch_receiver"
# Alerts of policies in other namespaces have one, so that they cannot pose as a test.
_OURS = Matcher("namespace", "=", "")


def render_test_routes(receivers: Iterable[str]) -> list[Object]:
    """Return the routes of the tests, which stand in front of all others."""
    named = [(Matcher(_RECEIVER, "=", name), name) for name in receivers]
    routes = [*named, (Matcher(_RECEIVER, "!=", ""), NOBODY)]
    return [
        {
            "matchers": render_matchers([_SYNTHETIC, matcher, _OURS]),
            "receiver": receiver,
            "group_by": ["..."],
            "group_wait": "0s",
        }
        for matcher, receiver in routes
    ]


def build_test_alerts(receivers: Sequence[str], *, run: str, ends_at: str) -> list[Object]:
    """Return the alerts of one test; ``run`` differs from test to test, so that each is told."""
    return [
        {
            "labels": {
                "alertname": ALERT,
                "synthetic": "true",
                "severity": "none",
                _RECEIVER: receiver,
                "run": run,
            },
            "annotations": {
                "summary": f"This tests that {receiver} can be told. Nothing is wrong.",
                "description": "Firewatch sends it as often as spec.alerting.selfTest says.",
            },
            "endsAt": ends_at,
        }
        for receiver in receivers
    ]
