"""Whose alert it is: what says that it is about another namespace changes nothing here."""

from dataclasses import replace

import pytest

from firewatch.respond.alerts import Alert, AlertState, identify
from firewatch.respond.load import Sample
from firewatch.respond.registry import Entry, Sources
from firewatch.respond.signals import RuleState, SourceState
from tests.unit.test_registry import FOUND, NOW, SOURCE, entry
from tests.unit.test_signals import rule

OURS, THEIRS = "shop", "elsewhere"


def alert(**labels: str) -> Alert:
    found = {"alertname": "Hot", **labels}
    return Alert(identify(found), "Hot", found, AlertState.FIRING, NOW)


ALERTS = (alert(), alert(namespace=OURS), alert(namespace=THEIRS))


def heard(one: RuleState, who: Entry | None = None) -> list[RuleState]:
    """Return what an AutoResponse of the namespace is told of a rule."""
    sources = Sources()
    sources.polled(SOURCE, SourceState(NOW, rules=(one,)))
    state = sources.known_to(who or entry(1, FOUND)).state
    assert state
    return [*state.rules]


def test_alerts_and_loads_of_another_namespace_are_left_out() -> None:
    samples = tuple(Sample(each.labels, 1.0) for each in ALERTS)
    (found,) = heard(rule(name="Hot", alerts=ALERTS, samples=samples))
    assert (found.alerts, found.samples) == (ALERTS[:2], samples[:2])


@pytest.mark.parametrize(
    ("label", "alerts"),
    [
        (OURS, ALERTS[:2]),
        ("{{ $labels.exported_namespace }}", ALERTS[:2]),
        (THEIRS, None),
    ],
)
def test_a_rule_is_left_out_that_is_about_another_namespace_as_a_whole(
    label: str, alerts: tuple[Alert, ...] | None
) -> None:
    found = heard(rule(name="Hot", labels={"namespace": label}, alerts=ALERTS))
    assert [each.alerts for each in found] == ([] if alerts is None else [alerts])


def test_whoever_asks_for_a_namespace_hears_of_it() -> None:
    asking = entry(1, FOUND)
    trigger = asking.spec.trigger.model_copy(update={"labels": {"namespace": THEIRS}})
    who = replace(asking, spec=asking.spec.model_copy(update={"trigger": trigger}))
    (found,) = heard(rule(name="Hot", labels={"namespace": THEIRS}, alerts=ALERTS), who)
    assert found.alerts == ALERTS


def test_what_is_pushed_about_another_namespace_is_left_out_too() -> None:
    sources = Sources()
    sources.push(SOURCE, ALERTS, NOW)
    pushed = sources.known_to(entry(1, FOUND)).pushed.values()
    assert [each.alert for each in pushed] == [*ALERTS[:2]]
