"""Unit tests inside policies on a real cluster: the Job, its promtool, and what is loaded."""

from e2e.kubectl import Object, wait_for
from e2e.station import Station
from e2e.test_alerts import running_alerts


def policy(station: Station, name: str, alert: str, *, fires_above: int, value: int) -> Object:
    """Return a policy whose test expects its alert for a series of one value."""
    rule = {
        "alert": alert,
        "expr": f"freeagentics_demo_load > {fires_above}",
        "labels": {"severity": "info"},
    }
    test = {
        "name": f"{alert} at {value}",
        "interval": "15s",
        "input_series": [{"series": "freeagentics_demo_load", "values": f"{value}x8"}],
        "alert_rule_test": [
            {
                "eval_time": "1m",
                "alertname": alert,
                "exp_alerts": [{"exp_labels": {"severity": "info"}}],
            }
        ],
    }
    spec = {
        "groups": [{"name": "tested", "rules": [rule]}],
        "tests": {"evaluation_interval": "15s", "tests": [test]},
    }
    return station.resource("AlertPolicy", name, spec)


def jobs(station: Station) -> list[Object]:
    """Return the Jobs of tests that are there."""
    selector = "app.kubernetes.io/component=tests"
    return station.kubectl.list("jobs", station.namespace, selector)


def test_rules_whose_tests_pass_are_loaded(stack_station: Station) -> None:
    good = policy(stack_station, "tests-pass", "TestsPass", fires_above=1000, value=1001)
    stack_station.kubectl.apply(good)
    stack_station.wait_ready("apol", "tests-pass", seconds=90)
    found = stack_station.wait_reason("apol", "tests-pass", "Tested", "TestsPassed")
    assert found["status"] == "True"
    assert "TestsPass" in running_alerts(stack_station)
    assert wait_for("the Job to be removed", lambda: not jobs(stack_station))


def test_rules_whose_tests_fail_are_not_and_those_of_before_stay(stack_station: Station) -> None:
    """Promtool's own words reach the status without a right to read logs."""
    good = policy(stack_station, "tests-fail", "TestsFail", fires_above=2000, value=2001)
    stack_station.kubectl.apply(good)
    stack_station.wait_ready("apol", "tests-fail", seconds=90)
    bad = policy(stack_station, "tests-fail", "TestsFailNow", fires_above=3000, value=2001)
    stack_station.kubectl.apply(bad)
    found = stack_station.wait_reason("apol", "tests-fail", "Tested", "TestsFailed")
    assert "TestsFailNow at 2001" in found["message"]
    alerts = running_alerts(stack_station)
    assert "TestsFail" in alerts
    assert "TestsFailNow" not in alerts
