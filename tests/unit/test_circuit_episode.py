"""Breakers from their opening to their end, over a small town of pods: exact, wherever it is stopped."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from firewatch.api.circuit import BreakerRecord, Change
from firewatch.api.circuit_breaker import CircuitBreaker
from firewatch.api.ledger import LedgerTarget
from firewatch.respond.circuit import episode
from firewatch.respond.circuit.automaton import Pace, opened
from firewatch.respond.circuit.choice import choose
from firewatch.respond.circuit.episode import Wish, begin, go_on
from firewatch.respond.circuit.fallback import SERVES
from firewatch.respond.circuit.levers import Lever, Seen, as_text, pointer
from firewatch.respond.circuit.plan import Plan
from firewatch.respond.circuit.world import (
    Backend,
    ConfigMap,
    Pod,
    Revision,
    Service,
    Traffic,
    World,
)

START = datetime(2026, 11, 29, 3, tzinfo=UTC)
SECOND = timedelta(seconds=1)
PACE = Pace(
    seed="uid",
    open_for=10 * SECOND,
    open_for_most=40 * SECOND,
    try_for=5 * SECOND,
    give_up_after=600 * SECOND,
    min_requests=20,
    good_below=0.05,
)
TARGET = LedgerTarget(kind="Deployment", name="api", uid="u")
_RATE = 40
"""Requests a second that come to the Service."""
_SELECTOR = Lever("Service", "api", pointer("spec", "selector"))
_KEY = Lever("ConfigMap", "api", pointer("data", "breaker"))
_SCALE = Lever("Deployment", "api", "/spec/replicas")
_TEMPLATE = Lever("Deployment", "api", "/spec/template")


class KilledError(Exception):
    """The operator is killed here."""


@dataclass
class Town:
    """A Deployment behind a Service, one that may answer instead, and who of them fails."""

    labels: dict[str, dict[str, str]] = field(
        default_factory=lambda: (
            {f"api-{n}": {"app": "api", "traffic": "yes"} for n in range(4)}
            | {"lite-0": {"app": "lite"}}
        )
    )
    fields: dict[Lever, Any] = field(
        default_factory=lambda: {
            _SELECTOR: {"app": "api", "traffic": "yes"},
            _KEY: None,
            _SCALE: 4,
            _TEMPLATE: "api-new",
        }
    )
    fails: Callable[["Town", str], bool] = lambda _town, _pod: False
    answered: dict[str, tuple[int, int]] = field(default_factory=dict)
    is_visible: bool = True
    writers: dict[Lever, str] = field(default_factory=dict)
    behind: set[str] = field(default_factory=set)
    """Pods that a rollout has not replaced yet: they have the new revision for as long."""

    def pass_time(self) -> None:
        """Answer a second's requests."""
        selector = self.fields[_SELECTOR]
        serving = [n for n, labels in self.labels.items() if selector.items() <= labels.items()]
        assert serving, "nobody answers"
        serving = [n for n in serving if not n.startswith("api") or self._runs(n)]
        for name in serving:
            requests, errors = self.answered.get(name, (0, 0))
            more = _RATE // max(1, len(serving))
            failed = more if self.fails(self, name) else 0
            self.answered[name] = (requests + more, errors + failed)

    def revision(self, name: str) -> str:
        """Return the name of a pod's ReplicaSet."""
        return "api-new" if name in self.behind else str(self.fields[_TEMPLATE])

    def _runs(self, name: str) -> bool:
        return bool(int(name.partition("-")[2]) < self.fields[_SCALE])

    def world(self) -> World:
        """Return what the operator sees."""
        pods = {
            name: Pod(name, labels, replica_set=self.revision(name))
            for name, labels in self.labels.items()
        }
        mine = tuple(p for n, p in pods.items() if n.startswith("api") and self._runs(n))
        other = tuple(pod for name, pod in pods.items() if name.startswith("lite"))
        counters = {name: Traffic(*each) for name, each in self.answered.items()}
        data = {"breaker": self.fields[_KEY]} if self.fields[_KEY] is not None else {}
        return World(
            target=Backend("Deployment", "api", {"app": "api"}, mine),
            replicas=self.fields[_SCALE],
            services=(Service("api", self.fields[_SELECTOR]),),
            fallback=Backend("Deployment", "lite", {"app": "lite"}, other),
            config_map=ConfigMap("api", data),
            revisions=(
                Revision("api-new", 7, START - 60 * SECOND),
                Revision("api-old", 6, START - timedelta(days=1)),
            ),
            traffic=counters if self.is_visible else None,
            counters=counters if self.is_visible else None,
            errors_since=START - 30 * SECOND,
            names=frozenset(self.labels),
            seen=self._seen(),
        )

    def _seen(self) -> dict[Lever, Seen]:
        found = {
            lever: Seen("u", None if value is None else as_text(value), self._writer(lever))
            for lever, value in self.fields.items()
        }
        for name, labels in self.labels.items():
            for label in ("app", "traffic", SERVES):
                lever = Lever("Pod", name, pointer("metadata", "labels", label))
                value = labels.get(label)
                found[lever] = Seen("u", None if value is None else as_text(value))
        return found

    def _writer(self, lever: Lever) -> str:
        return self.writers.get(lever, "kubectl")

    def write(self, change: Change) -> None:
        """Make a write of the operator, as its JSON patch would."""
        lever = Lever(change.kind, change.name, change.field)
        assert self.world().seen[lever].value == change.written
        value = None if change.intended is None else json.loads(change.intended)
        if change.kind != "Pod":
            self.fields[lever] = value
            return
        label = change.field.removeprefix("/metadata/labels/").replace("~1", "/")
        labels = dict(self.labels[change.name])
        labels.pop(label, None)
        self.labels[change.name] = labels if value is None else {**labels, label: value}

    def state(self) -> tuple[object, ...]:
        """Return all that a breaker may have changed."""
        return (self.fields, self.labels)


@dataclass
class Episode:
    """A breaker that is worked on second by second; it may be killed at one of its writes."""

    town: Town
    wanted: CircuitBreaker
    kill_at: tuple[int, bool] = (-1, False)
    """Before or after which of its writes it is killed, once."""
    now: datetime = START
    record: BreakerRecord | None = None
    events: list[str] = field(default_factory=list)
    writes: int = 0
    wish: Wish = field(init=False)
    kept: list[BreakerRecord] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.wish = Wish(self.wanted, PACE)

    def open(self) -> None:
        """Open the breaker, as far as that goes without a kill."""
        plan = choose(self.town.world(), self.wanted)
        assert isinstance(plan, Plan), plan
        blank = BreakerRecord(
            schema_version=1,
            target=TARGET,
            alert="a",
            alert_name="APIHighErrorRate",
            mechanism=plan.mechanism,
            does="",
            circuit=opened(PACE, self.now),
        )
        self.record = begin(plan, blank, PACE, self.town.world(), self.now)

    def second(self) -> None:
        """Let a second pass, and work until there is nothing to do in it."""
        self.town.pass_time()
        self.now += SECOND
        for _ in range(40):
            try:
                if not self._pass():
                    return
            except KilledError:
                continue
        raise AssertionError("it does not come to rest")

    def _pass(self) -> bool:
        if self.record is None:
            return False
        step = go_on(self.record, self.wish, self.town.world(), self.now)
        is_new = step.record != self.record or bool(step.news)
        if is_new:
            self._write(lambda: self._keep(step.record, [news.event for news in step.news]))
        write = step.write
        if write is not None:
            self._write(lambda: self.town.write(write))
        return is_new or write is not None

    def _keep(self, record: BreakerRecord | None, events: list[str]) -> None:
        self.record = record
        self.events += events
        if record is not None:
            text = record.model_dump_json(by_alias=True)
            self.record = BreakerRecord.model_validate_json(text)
            self.kept.append(self.record)

    def _write(self, do: Callable[[], None]) -> None:
        number, after = self.kill_at
        self.writes += 1
        if self.writes == number and not after:
            raise KilledError
        do()
        if self.writes == number and after:
            raise KilledError

    def run(self, seconds: int = 200) -> "Episode":
        """Open it, and go on until it is over."""
        self.open()
        for _ in range(seconds):
            self.second()
            if self.record is None:
                return self
        raise AssertionError(f"it is not over: {self.record}")


def breaker(mechanism: str, **fields: Any) -> CircuitBreaker:
    more = {
        "flag": {"configMap": "api", "key": "breaker", "open": "on", "halfOpen": "some"},
        "fallback": {"target": {"name": "lite"}},
        "shed": {"replicas": 1},
        "measure": {"minRequests": 20},
    }
    return CircuitBreaker.model_validate({"mechanism": mechanism, **more, **fields})


def _second(town: Town) -> int:
    """Return how many seconds of requests have been answered."""
    return sum(requests for requests, _ in town.answered.values()) // _RATE


def until(*, second: int, pods: str = "") -> Callable[[Town, str], bool]:
    """Return that pods of that name fail until some second."""

    def fails(town: Town, name: str) -> bool:
        is_meant = name == pods if pods else name.startswith("api")
        return is_meant and _second(town) < second

    return fails


def bad_revision(town: Town, name: str) -> bool:
    """Fail with the new revision."""
    return name.startswith("api") and town.revision(name) == "api-new"


def warmed_up(fails: Callable[[Town, str], bool]) -> Town:
    """Return a town whose pods have been failing for some seconds."""
    town = Town(fails=fails)
    for _ in range(5):
        town.pass_time()
    return town


CASES: dict[str, Callable[[], Episode]] = {
    "flag": lambda: Episode(warmed_up(until(second=12)), breaker("flag")),
    "isolate": lambda: Episode(warmed_up(until(second=12, pods="api-1")), breaker("isolate")),
    "fallback": lambda: Episode(warmed_up(until(second=12)), breaker("fallback")),
    "rollback": lambda: Episode(warmed_up(bad_revision), breaker("rollback")),
    "shed": lambda: Episode(warmed_up(until(second=12)), breaker("shed")),
}


@pytest.mark.parametrize("name", CASES)
def test_an_episode_opens_tries_and_closes(name: str) -> None:
    found = CASES[name]().run()
    assert found.events == [episode.OPENED, episode.HALF_OPENED, episode.CLOSED]
    expected = Town()
    if name == "rollback":
        expected.fields[_TEMPLATE] = "api-old"
    assert found.town.state() == expected.state()


@pytest.mark.parametrize("name", CASES)
def test_a_kill_at_any_write_changes_nothing_in_the_end(name: str) -> None:
    undisturbed = CASES[name]().run()
    assert undisturbed.writes > 5
    for number in range(1, undisturbed.writes + 1):
        for after in (False, True):
            killed = CASES[name]()
            killed.kill_at = (number, after)
            killed.run()
            assert killed.town.state() == undisturbed.town.state(), (number, after)
            assert killed.events == undisturbed.events, (number, after)


@pytest.mark.parametrize("name", ["flag", "isolate", "fallback", "shed"])
def test_what_goes_on_failing_is_opened_again_for_longer(name: str) -> None:
    case = CASES[name]()
    case.town.fails = until(second=60, pods="api-1" if name == "isolate" else "")
    case.run()
    times = case.events.count(episode.REOPENED)
    assert times >= 2
    again = [episode.REOPENED, episode.HALF_OPENED] * times
    assert case.events == [episode.OPENED, episode.HALF_OPENED, *again, episode.CLOSED]
    assert case.town.state() == Town().state()


def test_pods_come_back_one_after_the_other() -> None:
    town = Town(fails=lambda town, name: name in ("api-1", "api-2") and _second(town) < 12)
    for _ in range(5):
        town.pass_time()
    case = Episode(town, breaker("isolate"))
    case.open()
    out = set()
    while case.record is not None:
        case.second()
        out.add(sum("traffic" not in labels for n, labels in town.labels.items() if n[0] == "a"))
    assert out == {2, 1, 0}
    halves = [episode.HALF_OPENED] * 2
    assert case.events == [episode.OPENED, *halves, episode.CLOSED]
    assert town.state() == Town().state()


def test_a_rollback_that_does_not_help_is_put_back() -> None:
    case = CASES["rollback"]()
    case.town.fails = lambda _town, name: name.startswith("api")
    case.run()
    assert case.events[-1] == episode.TAKEN_BACK
    assert case.town.state() == Town().state()


def test_a_rollback_is_tried_once_it_is_rolled_out() -> None:
    """Pods of the bad revision that still answered made it look as if the one before failed as well."""
    case = CASES["rollback"]()
    case.town.behind = {"api-2", "api-3"}
    case.open()
    for _ in range(60):
        case.second()
    assert case.record is not None
    assert case.record.circuit.counted is None
    case.town.behind = set()
    for _ in range(10):
        case.second()
    assert case.events == [episode.OPENED, episode.HALF_OPENED, episode.CLOSED]
    assert case.town.fields[_TEMPLATE] == "api-old"


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("seconds", [1, 11])
def test_what_is_not_asked_for_any_more_goes_back(name: str, seconds: int) -> None:
    case = CASES[name]()
    case.open()
    for _ in range(seconds):
        case.second()
    case.wish = replace(case.wish, leaves="its AutoResponse is deleted")
    case.second()
    assert case.record is None
    if name == "rollback":
        assert case.events[-1] == episode.KEPT
        assert case.town.fields[_TEMPLATE] == "api-old"
    else:
        assert case.events[-1] == episode.TAKEN_BACK
        assert case.town.state() == Town().state()


def test_a_rollback_is_undone_by_name() -> None:
    case = CASES["rollback"]()
    case.open()
    case.second()
    case.wish = replace(case.wish, leaves="undone", is_undone=True)
    case.second()
    assert case.record is None
    assert case.town.state() == Town().state()


def test_while_nothing_can_be_seen_it_stays_as_it_is() -> None:
    case = CASES["fallback"]()
    case.open()
    for _ in range(11):
        case.second()
    case.town.is_visible = False
    before = case.town.state()
    for _ in range(50):
        case.second()
    assert case.record is not None
    assert case.town.state() == before
    case.town.is_visible = True
    for _ in range(30):
        case.second()
    assert case.record is None


def test_a_person_who_rolls_out_during_a_rollback_is_left_alone() -> None:
    case = CASES["rollback"]()
    case.open()
    case.second()
    case.town.fields[_TEMPLATE] = "api-fixed"
    case.second()
    assert case.record is None
    assert case.events[1:] == [episode.RELEASED, episode.TAKEN_BACK]
    assert case.town.fields[_TEMPLATE] == "api-fixed"


def test_a_service_that_somebody_leads_elsewhere_stays_so_and_labels_go_back() -> None:
    case = CASES["fallback"]()
    case.open()
    for _ in range(12):
        case.second()
    case.town.fields[_SELECTOR] = {"app": "lite"}
    case.second()
    assert case.record is None
    assert case.town.fields[_SELECTOR] == {"app": "lite"}
    assert case.town.labels == Town().labels


def test_a_pod_that_goes_while_it_is_out_is_forgotten() -> None:
    case = CASES["isolate"]()
    case.open()
    case.second()
    del case.town.labels["api-1"]
    for _ in range(3):
        case.second()
    assert case.record is None
    assert case.events == [episode.OPENED, episode.TAKEN_BACK]


def test_paused_nothing_is_tried_and_nothing_goes_back() -> None:
    case = CASES["flag"]()
    case.open()
    case.second()
    case.wish = replace(case.wish, is_paused=True)
    for _ in range(60):
        case.second()
    assert case.town.fields[_KEY] == "on"
    case.wish = replace(case.wish, is_paused=False)
    for _ in range(10):
        case.second()
    assert case.record is None
    assert case.town.state() == Town().state()


def test_the_service_never_leads_nowhere_when_the_target_is_gone() -> None:
    case = CASES["fallback"]()
    case.open()
    case.second()
    case.wish = replace(case.wish, leaves="the target is gone", is_target_gone=True)
    case.second()
    assert case.record is None
    assert case.events[-1] == episode.KEPT
    assert case.town.fields[_SELECTOR] == {"app": "lite"}
