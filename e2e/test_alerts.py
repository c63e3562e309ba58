"""Policies: what is right runs, what is wrong is left out and named."""

from pathlib import Path

import yaml

from e2e.kubectl import Object, wait_for
from e2e.station import Station
from firewatch.build.names import COMPONENT_LABEL, RULES, policy_file

EXAMPLE = Path(__file__).parents[1] / "examples" / "alertpolicy-runbook.yaml"


def running_alerts(station: Station) -> set[str]:
    """Return the names of the alerting rules that Prometheus runs."""
    groups = station.prometheus("rules?type=alert")["groups"]
    return {rule["name"] for group in groups for rule in group["rules"]}


def rule(alert: str, expr: str) -> Object:
    return {"alert": alert, "expr": expr}


def test_the_runbooks_five_rules_load_as_they_stand(stack_station: Station) -> None:
    policy = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))
    policy["metadata"]["namespace"] = stack_station.namespace
    policy["spec"].pop("stackRef", None)
    stack_station.kubectl.apply(policy)
    stack_station.wait_ready("apol", policy["metadata"]["name"])
    wanted = {r["alert"] for r in policy["spec"]["groups"][0]["rules"]}
    assert len(wanted) == 5
    assert wanted <= running_alerts(stack_station)


def test_a_bad_rule_is_named_and_left_out_while_its_siblings_run(stack_station: Station) -> None:
    rules = [rule("Good", "up == 0"), rule("Bad", "up =="), rule("AlsoGood", "up == 2")]
    spec = {"groups": [{"name": "mixed", "rules": rules}]}
    stack_station.kubectl.apply(stack_station.resource("AlertPolicy", "mixed", spec))

    def named() -> bool:
        found = stack_station.kubectl.get("apol", "mixed", stack_station.namespace) or {}
        rejected = found["status"]["rejected"][0]
        assert (rejected["group"], rejected["index"], rejected["rule"]) == ("mixed", 1, "Bad")
        assert rejected["message"]
        assert found["status"]["rules"] == {"total": 3, "loaded": 2}
        return True

    assert wait_for("the bad rule to be named", named)
    assert {"Good", "AlsoGood"} <= running_alerts(stack_station)
    assert "Bad" not in running_alerts(stack_station)


def test_two_policies_may_have_groups_of_the_same_name(stack_station: Station) -> None:
    for name, alert in (("twin-a", "TwinA"), ("twin-b", "TwinB")):
        spec = {"groups": [{"name": "twins", "rules": [rule(alert, "up == 0")]}]}
        stack_station.kubectl.apply(stack_station.resource("AlertPolicy", name, spec))
    for name in ("twin-a", "twin-b"):
        stack_station.wait_ready("apol", name)
    assert {"TwinA", "TwinB"} <= running_alerts(stack_station)


def test_a_threshold_becomes_a_rule_that_a_preset_finds(stack_station: Station) -> None:
    spec = {"thresholds": [{"signal": "cpu", "above": 99, "window": "10s", "for": "1h"}]}
    stack_station.kubectl.apply(stack_station.resource("AlertPolicy", "cpu", spec))
    stack_station.wait_ready("apol", "cpu")
    groups = stack_station.prometheus("rules?type=alert&rule_name[]=HighCPUUsage")["groups"]
    labels = [r["labels"] for group in groups for r in group["rules"]]
    assert {"firewatch_preset": "cpu_high", "severity": "warning"} in labels


def test_a_deleted_policy_runs_no_more(stack_station: Station) -> None:
    spec = {"groups": [{"name": "short", "rules": [rule("ShortLived", "up == 0")]}]}
    stack_station.kubectl.apply(stack_station.resource("AlertPolicy", "short", spec))
    stack_station.wait_ready("apol", "short")
    stack_station.kubectl.delete("apol", "short", stack_station.namespace)
    assert wait_for("the rule to go", lambda: "ShortLived" not in running_alerts(stack_station))


def test_rules_that_somebody_edits_or_deletes_come_back(stack_station: Station) -> None:
    kubectl, namespace = stack_station.kubectl, stack_station.namespace
    file = policy_file(namespace, "load")

    def holders() -> list[str]:
        """Return the names of the ConfigMaps that hold the policy's rules."""
        found = kubectl.list("configmap", namespace, f"{COMPONENT_LABEL}={RULES}")
        return [each["metadata"]["name"] for each in found if file in each.get("data", {})]

    (slot,) = holders()
    kubectl.patch("configmap", slot, namespace, {"data": {file: None}})
    assert wait_for("the rules to come back", lambda: holders() == [slot])
    kubectl.delete("configmap", slot, namespace)
    assert wait_for("the ConfigMap to come back", lambda: holders() == [slot])
