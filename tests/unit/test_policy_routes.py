"""What policies add to a stack's notifications, and what they cannot do."""

from typing import Any

import pytest
import yaml

from firewatch.api.alerts import AlertPolicySpec
from firewatch.api.stack import MonitoringStackSpec
from firewatch.build.alertmanager_config import Notifications, render_notifications
from firewatch.build.checks import check_groups
from firewatch.build.escalations import escalation_id
from firewatch.build.notifying import Contents, Sources
from firewatch.build.objects import Stack
from firewatch.build.policy_routes import RoutingPolicy
from firewatch.build.routing import NOBODY
from firewatch.build.rules import Place, policy_groups

Data = dict[str, Any]
HOOK: Data = {"name": "hook", "webhook": [{"url": "http://hook.example/x"}]}
MINE: Data = {"name": "mine", "webhook": [{"url": "http://team.example/x"}]}
RULES: Data = {"groups": [{"name": "g", "rules": [{"alert": "A", "expr": "up"}]}]}


def policy(namespace: str = "team", name: str = "p", **spec: Any) -> RoutingPolicy:
    found = AlertPolicySpec.model_validate(RULES | {"receivers": [MINE]} | spec)
    return RoutingPolicy(namespace, name, found)


def render(*policies: RoutingPolicy, sources: Sources | None = None) -> Notifications:
    block = {
        "receivers": [HOOK],
        "route": {"receiver": "hook", "routes": [{"matchers": ["s=1"], "receiver": "hook"}]},
    }
    spec = MonitoringStackSpec.model_validate({"alerting": block})
    assert spec.alerting
    stack = Stack("shop", "a", "u", spec)
    return render_notifications(stack, spec.alerting, sources or Sources(), policies)


def config(found: Notifications) -> Any:
    return yaml.safe_load(found.config)


def added(found: Notifications) -> Any:
    """Return the routes between the escalations and the stack's own."""
    return config(found)["route"]["routes"][2:-1]


ROUTE: Data = {"matchers": ["severity=critical"], "receiver": "mine"}


def test_a_route_of_another_namespace_takes_only_its_alerts_and_takes_nothing_away() -> None:
    found = render(policy(routes=[ROUTE]))
    assert added(found) == [
        {
            "receiver": "team/p/mine",
            "matchers": ['namespace="team"', 'severity="critical"'],
            "continue": True,
        }
    ]
    without = config(render())["route"]
    assert config(found)["route"]["routes"][-1] == without["routes"][-1]


def test_a_route_of_the_stacks_own_namespace_takes_alerts_as_they_are_written() -> None:
    """Its rules are as written too: the alerts of machines, for one, have no namespace."""
    (route,) = added(render(policy("shop", routes=[ROUTE])))
    assert route["matchers"] == ['severity="critical"']


def test_of_several_routes_the_first_that_matches_is_taken() -> None:
    found = render(policy(routes=[ROUTE, {"receiver": "mine", "continue": True}]))
    (frame,) = added(found)
    assert (frame["receiver"], frame["continue"]) == (NOBODY, True)
    assert frame["matchers"] == ['namespace="team"']
    assert [route.get("continue", False) for route in frame["routes"]] == [False, True]


def test_policies_with_the_same_names_keep_apart() -> None:
    found = config(render(policy("team", routes=[ROUTE]), policy("other", routes=[ROUTE])))
    names = [receiver["name"] for receiver in found["receivers"]]
    assert names == ["hook", "other/p/mine", "team/p/mine", NOBODY]


def test_the_stacks_receivers_are_for_policies_of_its_namespace_only() -> None:
    own = render(policy("shop", routes=[{"receiver": "hook"}]))
    foreign = render(policy("team", routes=[{"receiver": "hook"}]))
    assert [route["receiver"] for route in added(own)] == ["hook"]
    assert [route["receiver"] for route in added(foreign)] == [NOBODY]
    assert [(each.policy, each.path, each.reason) for each in foreign.left_out] == [
        ("team/p", "spec.routes[0].receiver", "ReceiverNotFound")
    ]


def test_secrets_are_those_of_the_policys_own_namespace() -> None:
    chat = {"name": "mine", "slack": [{"apiUrl": {"name": "keys", "key": "url"}}]}
    held = {
        (space, "keys"): Contents(space, {"url": f"https://{space}.example".encode()})
        for space in ("shop", "team")
    }
    bad = render(
        policy(receivers=[chat], routes=[ROUTE]),
        sources=Sources(secrets={("shop", "keys"): held["shop", "keys"]}),
    )
    assert [each.reason for each in bad.left_out] == ["SecretNotFound"]
    assert bad.files == {}
    good = render(policy(receivers=[chat], routes=[ROUTE]), sources=Sources(secrets=held))
    assert [*good.files.values()] == [b"https://team.example"]


def test_both_sides_of_an_inhibition_have_the_namespace() -> None:
    inhibit = [
        {"source": ["a=b"], "target": ["c=d"], "equal": ["e"]},
        {"source": ["bad-name=b"], "target": ["c=d"]},
    ]
    found = render(policy(inhibit=inhibit))
    assert config(found)["inhibit_rules"][2:] == [
        {
            "source_matchers": ['namespace="team"', 'a="b"'],
            "target_matchers": ['namespace="team"', 'c="d"'],
            "equal": ["e"],
        }
    ]
    assert [each.path for each in found.left_out] == ["spec.inhibit[1]"]


def test_escalations_stand_first_and_go_nowhere_else() -> None:
    escalate = [{"after": "10m", "receiver": "mine"}, {"after": "1h", "receiver": "nobody"}]
    found = render(policy(routes=[ROUTE | {"escalate": escalate}]))
    _, first, rest, *_ = config(found)["route"]["routes"]
    assert first == {
        "matchers": [
            'namespace="team"',
            f'firewatch_escalation="{escalation_id("team/p", 0, 0)}"',
        ],
        "receiver": "team/p/mine",
    }
    assert rest == {"matchers": ['firewatch_escalation=~".+"'], "receiver": NOBODY}
    assert [each.path for each in found.left_out] == ["spec.routes[0].escalate[1].receiver"]


def test_settings_that_are_too_large_cost_one_policy() -> None:
    texts = [
        {"name": f"s{n}", "webhook": [{"url": f"http://a/{'x' * 2000}"}] * 8} for n in range(16)
    ]
    large = [policy("team", f"large{n}", receivers=texts, routes=[ROUTE]) for n in range(3)]
    found = render(*large, policy("zoo", routes=[ROUTE]))
    assert [each.policy for each in found.left_out if each.reason == "RoutesTooLarge"] == [
        "team/large1",
        "team/large2",
    ]
    assert "zoo/p/mine" in [receiver["name"] for receiver in config(found)["receivers"]]


def test_a_runbook_is_for_every_alert_that_names_none() -> None:
    rules = [
        {"alert": "A", "expr": "up"},
        {"alert": "B", "expr": "up", "annotations": {"runbook_url": "own"}},
        {"record": "c", "expr": "up"},
    ]
    spec = AlertPolicySpec.model_validate(
        {"runbookUrl": "https://r.example", "groups": [{"name": "g", "rules": rules}]}
    )
    (group,) = policy_groups(spec)
    assert [rule.annotations.get("runbook_url") for rule in group.rules] == [
        "https://r.example",
        "own",
        None,
    ]


@pytest.mark.parametrize("label", ["firewatch_escalation", "firewatch_origin"])
def test_no_alert_can_pose_as_an_escalation(label: str) -> None:
    rule = {"alert": "A", "expr": "up", "labels": {label: "x"}}
    spec = AlertPolicySpec.model_validate({"groups": [{"name": "g", "rules": [rule]}]})
    reason, message = check_groups(policy_groups(spec))[Place(0, 0)]
    assert (reason, message) == ("BadLabel", f"labels: {label} belongs to Firewatch; rename it")
