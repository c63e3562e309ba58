"""A silence mutes people and not the load, unless an AutoResponse says otherwise."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from firewatch.api.alert_source import ExternalSource
from firewatch.api.conditions import good
from firewatch.api.responses import AutoResponseSpec
from firewatch.respond.external import names_secrets
from firewatch.respond.load import Limit, Sample
from firewatch.respond.muting import PATIENCE, answered, unanswered
from firewatch.respond.registry import Entry, Sources
from firewatch.respond.signals import Kind, Pushed, Source, SourceState, heed_silences, judge
from firewatch.respond.status import find_source
from tests.unit.test_registry import SOURCE, SPEC, live
from tests.unit.test_signals import CPU, CREATED, NOW, polled, pushed, rule, source

MUTED = frozenset({polled().identity})
RELEASE = {"recovery": {"onSilence": "release"}}


def muted(*rules: Any, **changes: Any) -> Source:
    return heed_silences(source(*rules, muted=MUTED, **changes))


def test_an_alert_that_is_muted_counts_as_resolved_whatever_the_load() -> None:
    loaded = rule(alerts=(polled(),), limit=Limit("x", 1.0), samples=(Sample({}, 9.0),))
    signal = judge(CPU, muted(loaded), NOW)
    assert (signal.kind, signal.reason, signal.load) == (Kind.RESOLVED, "Silenced", None)
    assert signal.message.startswith("HighCPUUsage fires and is silenced")
    assert judge(CPU, source(loaded, muted=MUTED), NOW).kind is Kind.FIRING, "nobody heeds it"


@pytest.mark.parametrize(
    ("found", "kind"),
    [
        (muted(rule(alerts=(polled(), polled(instance="n2:9100")))), Kind.FIRING),
        (muted(rule()), Kind.RESOLVED),
        (muted(rule(alerts=(polled(),), healthy=False)), Kind.HOLD),
        (muted(rule(alerts=(polled(), polled("pending", instance="n2:9100")))), Kind.HOLD),
        (muted(rule(alerts=(polled(),)), error="down"), Kind.HOLD),
    ],
)
def test_only_what_is_muted_is_left_out(found: Source, kind: Kind) -> None:
    assert judge(CPU, found, NOW).kind is kind


def test_what_is_pushed_counts_once_both_have_been_asked() -> None:
    push = Pushed(pushed(), NOW)
    known = source(rule(), pushes=(push,))
    assert judge(CPU, known, NOW).kind is Kind.FIRING
    assert judge(CPU, heed_silences(known), NOW).kind is Kind.RESOLVED
    down = source(pushes=(push,), error="down")
    assert judge(CPU, heed_silences(down), NOW).kind is Kind.FIRING, "nobody can be asked"


ID = polled().identity
SECOND = timedelta(seconds=1)


class Polls:
    """Polls of a source whose alert fires, one after the other, and what its Alertmanager says."""

    def __init__(self, interval: timedelta = timedelta(seconds=10)) -> None:
        self.rule = rule(alerts=(polled(),), interval=interval, hold=timedelta(0))
        self.state = SourceState(NOW)
        self.now = NOW

    def _poll(self, after: timedelta) -> SourceState:
        self.now += after
        evaluated = replace(self.rule, evaluated_at=self.now)
        return SourceState(self.now, started_at=NOW - timedelta(days=1), rules=(evaluated,))

    def asked(self, after: timedelta = SECOND, *, mutes: bool | None = None) -> str:
        """Have Alertmanager answer, by default that it does not have the alert; return what follows."""
        listed = {} if mutes is None else {ID: mutes}
        self.state = answered(self._poll(after), self.state, listed)
        return self.reason()

    def in_vain(self, after: timedelta = SECOND) -> str:
        """Have Alertmanager not answer; return what follows."""
        self.state = unanswered(self._poll(after), self.state, "connection refused")
        return self.reason()

    def reason(self) -> str:
        return judge(CPU, heed_silences(Source(self.state)), self.now).reason


def test_an_alert_that_alertmanager_is_about_to_get_is_waited_for() -> None:
    polls = Polls()
    assert polls.asked() == "NotAtAlertmanager"
    assert polls.asked(mutes=True) == "Silenced"
    assert polls.asked(mutes=False) == "Firing"


def test_it_is_not_waited_for_long() -> None:
    polls = Polls()
    assert polls.asked() == "NotAtAlertmanager"
    assert polls.asked(PATIENCE - SECOND) == "NotAtAlertmanager"
    assert polls.asked() == "Firing"
    assert polls.asked() == "Firing", "and not anew"
    assert polls.asked(mutes=True) == "Silenced"


def test_it_is_waited_for_until_prometheus_sends_it_again_which_takes_an_evaluation() -> None:
    polls = Polls(timedelta(minutes=5))
    assert polls.asked() == "NotAtAlertmanager"
    assert polls.asked(timedelta(minutes=6)) == "NotAtAlertmanager"
    assert polls.asked(timedelta(seconds=5)) == "Firing"


def test_a_restart_of_alertmanager_neither_ends_nor_begins_anything() -> None:
    silenced = Polls()
    assert silenced.asked(mutes=True) == "Silenced"
    assert silenced.in_vain() == "NotAtAlertmanager"
    assert silenced.in_vain(timedelta(seconds=40)) == "NotAtAlertmanager"
    assert silenced.asked() == "NotAtAlertmanager", "it has nothing yet"
    assert silenced.asked(timedelta(seconds=70)) == "NotAtAlertmanager"
    assert silenced.asked(mutes=True) == "Silenced"

    loud = Polls()
    assert loud.asked(mutes=False) == "Firing"
    assert loud.in_vain() == loud.asked() == "Firing"


def test_without_an_answer_nothing_counts_as_silenced_for_long() -> None:
    polls = Polls()
    assert polls.in_vain() == "Firing", "what newly fires counts at once"
    assert polls.asked(mutes=True) == "Silenced"
    assert polls.in_vain() == "NotAtAlertmanager"
    assert polls.in_vain(PATIENCE) == "Firing"
    assert polls.in_vain() == polls.asked() == "Firing"


def test_an_alertmanager_that_comes_and_goes_is_not_waited_for_for_ever() -> None:
    polls = Polls()
    assert polls.asked(mutes=True) == "Silenced"
    until = polls.now + 2 * PATIENCE
    while polls.in_vain() != "Firing" and polls.asked() != "Firing":
        assert polls.now < until
    assert polls.reason() == "Firing"


def test_what_may_be_silenced_is_not_told_where_every_alert_counts() -> None:
    waited = source(rule(alerts=(polled(),)), unlisted={ID: NOW})
    assert judge(CREATED, heed_silences(waited), NOW).reason == "NotAtAlertmanager"
    assert judge(CREATED, waited, NOW).kind is Kind.FIRING, "nobody heeds it"


def test_that_it_is_waited_for_is_no_fault_of_the_source() -> None:
    hot = replace(polled(), name="Hot", labels={"alertname": "Hot"})
    waited = source(rule(name="Hot", alerts=(hot,)), unlisted={ID: NOW})
    assert judge(entry().spec.trigger, heed_silences(waited), NOW).reason == "NotAtAlertmanager"
    assert find_source(entry(**RELEASE), heed_silences(waited), NOW).reason == "Polled"


def entry(**spec: object) -> Entry:
    wanted = AutoResponseSpec.model_validate(
        SPEC.model_dump(by_alias=True, exclude_none=True) | spec
    )
    return Entry(live(1), wanted, good("Accepted", "Accepted", "x"), SOURCE)


def test_each_response_decides_for_itself() -> None:
    sources = Sources()
    sources.polled(SOURCE, SourceState(NOW, muted=MUTED))
    assert sources.known_to(entry()).muted == frozenset()
    assert sources.known_to(entry(**RELEASE)).muted == MUTED


def test_that_silences_are_unknown_is_said_to_whom_it_concerns() -> None:
    state = SourceState(NOW, started_at=NOW, muted_error="connection refused")
    finding = find_source(entry(**RELEASE), Source(state), NOW)
    assert (finding.reason, "no alert counts as silenced" in finding.message) == (
        "SilencesUnknown",
        True,
    )
    assert find_source(entry(), Source(state), NOW).reason != "SilencesUnknown"


def test_the_credentials_of_its_alertmanager_are_secrets_too() -> None:
    bare: dict[str, Any] = {"prometheus": {"url": "http://p:9090"}}
    token = {"credentials": {"name": "keys", "key": "token"}}
    server = {"url": "http://a:9093", "authorization": token}
    assert not names_secrets(ExternalSource.model_validate(bare))
    assert names_secrets(ExternalSource.model_validate(bare | {"alertmanager": server}))
