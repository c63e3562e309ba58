"""A silence mutes people and not the load, unless an AutoResponse says otherwise."""

from dataclasses import replace
from typing import Any

import pytest

from firewatch.api.alert_source import ExternalSource
from firewatch.api.conditions import good
from firewatch.api.responses import AutoResponseSpec
from firewatch.respond.external import names_secrets
from firewatch.respond.load import Limit, Sample
from firewatch.respond.registry import Entry, Sources
from firewatch.respond.report import find_source
from firewatch.respond.signals import Kind, Pushed, Source, SourceState, heed_silences, judge
from tests.unit.test_registry import SOURCE, SPEC, live
from tests.unit.test_signals import CPU, NOW, polled, pushed, rule, source

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
    assert heed_silences(replace(known, state=None)) == Source()
    down = source(pushes=(push,), error="down")
    assert judge(CPU, heed_silences(down), NOW).kind is Kind.FIRING, "nobody can be asked"


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
