"""The Lease: whatever happens to clocks, requests and answers, never two believe that they lead."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from firewatch.cluster.lease import (
    ADDRESS,
    LEASE_SECONDS,
    RENEW_SECONDS,
    RETRY_SECONDS,
    UNCLAIMED,
    Candidate,
    Move,
    Record,
    build_change,
    build_lease,
    parse_record,
)

NOW = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)
FREE = Record("1", "")
OTHERS = Record("1", "other")
REPLICAS = st.integers(0, 2)
RATES = st.floats(0.9, 1.1)


def held(at: float = 0.0) -> Candidate:
    """Return a candidate that has taken the Lease by a request which was sent at that moment."""
    candidate = Candidate("me")
    candidate.saw(FREE, at)
    candidate.wrote(Record("2", "me"), sent=at, now=at + 0.1)
    return candidate


def test_it_is_looked_at_before_anything_else() -> None:
    assert Candidate("me").move(0) is Move.LOOK


def test_one_that_was_given_up_is_taken_at_once() -> None:
    candidate = Candidate("me")
    candidate.saw(FREE, 0)
    assert candidate.move(0) is Move.WRITE
    assert not candidate.holds(0)


def test_one_that_others_hold_is_taken_when_it_has_not_changed_for_its_duration() -> None:
    candidate = Candidate("me")
    for now in (0.0, 1.0, 3.9):
        candidate.saw(OTHERS, now)
        assert candidate.move(now) is Move.LOOK
    assert candidate.move(LEASE_SECONDS) is Move.WRITE
    candidate.saw(replace(OTHERS, version="2"), LEASE_SECONDS)
    assert candidate.move(LEASE_SECONDS) is Move.LOOK, "it was renewed"


def test_making_one_gives_nobody_the_right_to_act() -> None:
    candidate = Candidate("me")
    candidate.saw(None, 0)
    assert candidate.move(0) is Move.CREATE
    candidate.saw(Record("1", UNCLAIMED), 0.5)
    assert not candidate.holds(0.5)
    assert candidate.move(0.5 + RENEW_SECONDS) is Move.LOOK
    assert candidate.move(0.5 + LEASE_SECONDS) is Move.WRITE


def test_whoever_holds_it_acts_from_when_it_asked_and_not_from_the_answer() -> None:
    candidate = Candidate("me")
    candidate.saw(FREE, 0)
    candidate.wrote(Record("2", "me"), sent=1.0, now=3.0)
    assert candidate.holds(1.0 + RENEW_SECONDS - 0.01)
    assert not candidate.holds(1.0 + RENEW_SECONDS)


def test_an_answer_that_comes_too_late_gives_no_right_to_act() -> None:
    candidate = Candidate("me")
    candidate.saw(FREE, 0)
    candidate.wrote(Record("2", "me"), sent=0, now=RENEW_SECONDS)
    assert candidate.term(RENEW_SECONDS) == 0


def test_a_term_that_was_interrupted_is_followed_by_another() -> None:
    candidate = held()
    assert candidate.term(0.1) == 1
    candidate.wrote(Record("3", "me"), sent=0.5, now=0.6)
    assert candidate.term(0.6) == 1
    late = 0.5 + RENEW_SECONDS
    assert candidate.term(late) == 0
    candidate.wrote(Record("4", "me"), sent=late, now=late + 0.1)
    assert candidate.term(late + 0.1) == 2


def test_what_has_become_of_a_write_is_looked_at_and_proves_nothing_by_itself() -> None:
    candidate = held()
    candidate.doubt()
    assert candidate.move(1.0) is Move.LOOK
    assert candidate.holds(1.0), "until it runs out"
    candidate.saw(Record("3", "me"), 3.0)
    assert not candidate.holds(3.0), "only what was sent and accepted counts"
    assert candidate.move(3.0) is Move.WRITE


@pytest.mark.parametrize("record", [None, Record("3", "other"), Record("3", "")])
def test_it_ends_as_soon_as_somebody_else_is_seen_to_have_it(record: Record | None) -> None:
    candidate = held()
    candidate.saw(record, 0.5)
    assert not candidate.holds(0.5)


def test_whoever_has_resigned_never_leads_again() -> None:
    candidate = held()
    candidate.resign()
    assert not candidate.holds(0.2)
    candidate.wrote(Record("3", "me"), sent=0.2, now=0.3)
    assert not candidate.holds(0.3)
    candidate.saw(FREE, 0.4)
    assert candidate.move(0.4) is Move.LOOK


def test_the_moment_at_which_it_runs_out_is_not_slept_through() -> None:
    candidate = Candidate("me")
    candidate.saw(OTHERS, 0)
    assert candidate.pause(0, 0.1) == pytest.approx(RETRY_SECONDS - 0.1)
    assert candidate.pause(3.7, 3.8) == pytest.approx(LEASE_SECONDS - 3.8)
    assert candidate.pause(3.9, 4.1) == 0
    candidate.doubt()
    assert candidate.pause(4.1, 4.2) == pytest.approx(RETRY_SECONDS - 0.1), "no storm of requests"


def test_a_record_is_what_the_api_server_shows_of_a_change() -> None:
    made = build_lease("firewatch", NOW)
    assert parse_record(with_version(made, "1")) == Record("1", UNCLAIMED)
    change = build_change(Record("1", UNCLAIMED), "me", "10.0.0.1:9095", NOW)
    assert change["metadata"]["resourceVersion"] == "1"
    merged = {
        **made,
        "metadata": {**made["metadata"], **change["metadata"]},
        "spec": {**made["spec"], **change["spec"]},
    }
    found = parse_record(with_version(merged, "2"))
    assert found == Record("2", "me", "10.0.0.1:9095", 1)
    assert merged["spec"]["renewTime"] == "2026-01-02T03:04:05.000678Z"
    again = build_change(found, "me", "10.0.0.1:9095", NOW)
    assert "acquireTime" not in again["spec"]
    given_up = build_change(found, "", "", NOW)
    assert (given_up["spec"]["holderIdentity"], given_up["metadata"]["annotations"]) == (
        "",
        {ADDRESS: ""},
    )


@pytest.mark.parametrize("spec", [{}, None, {"holderIdentity": None, "leaseTransitions": None}])
def test_a_lease_that_somebody_else_has_made_can_be_read(spec: object) -> None:
    live = {"metadata": {"name": "firewatch", "resourceVersion": "7"}, "spec": spec}
    assert parse_record(live) == Record("7", "")


def with_version(live: dict[str, object], version: str) -> dict[str, object]:
    metadata = live["metadata"]
    assert isinstance(metadata, dict)
    return {**live, "metadata": {**metadata, "resourceVersion": version}}


class Conflict(Exception):  # noqa: N818 - an answer of the imagined server
    """Somebody else wrote first."""


@dataclass
class Server:
    """One Lease, and versions that never come again."""

    record: Record | None = None
    version: int = 0

    def read(self) -> Record | None:
        return self.record

    def create(self) -> Record:
        if self.record is not None:
            raise Conflict
        return self._put(UNCLAIMED)

    def write(self, known: Record, holder: str) -> Record:
        if self.record != known:
            raise Conflict
        return self._put(holder)

    def _put(self, holder: str) -> Record:
        self.version += 1
        self.record = Record(str(self.version), holder)
        return self.record


@dataclass
class Request:
    """A request on its way, to be served once and answered once, or not at all."""

    move: Move
    sent: float
    serve: Callable[[], Record | None]
    served: bool = False
    answer: Record | None = None
    refused: bool = False

    def reach(self) -> None:
        self.served = True
        try:
            self.answer = self.serve()
        except Conflict:
            self.refused = True


@dataclass
class Replica:
    """A candidate with a clock of its own and at most one request whose answer it waits for."""

    candidate: Candidate
    offset: float
    rate: float
    request: Request | None = None
    strays: list[Request] = field(default_factory=list)
    """Requests that it has given up waiting for, and that may arrive yet."""

    def clock(self, now: float) -> float:
        return self.offset + self.rate * now


@dataclass
class World:
    """Replicas, and a network that loses and delays whatever it likes."""

    server: Server = field(default_factory=Server)
    replicas: list[Replica] = field(default_factory=list)
    now: float = 0.0
    started: int = 0

    def start(self, rate: float, strays: Sequence[Request] = ()) -> Replica:
        self.started += 1
        identity, offset = f"replica-{self.started}", 1000.0 * self.started
        return Replica(Candidate(identity), offset, rate, strays=[*strays])

    def send(self, number: int) -> None:
        replica = self.replicas[number]
        if replica.request is not None:
            return
        candidate, sent = replica.candidate, replica.clock(self.now)
        move, known = candidate.move(sent), candidate.known
        serve: Callable[[], Record | None] = self.server.read
        if move is Move.CREATE:
            serve = self.server.create
        elif move is Move.WRITE:
            assert known is not None
            serve = partial(self.server.write, known, candidate.identity)
        replica.request = Request(move, sent, serve)

    def serve(self, number: int) -> None:
        request = self.replicas[number].request
        if request is not None and not request.served:
            request.reach()

    def answer(self, number: int) -> None:
        replica = self.replicas[number]
        request = replica.request
        if request is None or not request.served:
            return
        replica.request = None
        candidate, now = replica.candidate, replica.clock(self.now)
        if request.refused:
            candidate.doubt()
        elif request.move is Move.WRITE:
            assert request.answer is not None
            candidate.wrote(request.answer, sent=request.sent, now=now)
        else:
            candidate.saw(request.answer, now)

    def give_up_waiting(self, number: int) -> None:
        replica = self.replicas[number]
        if replica.request is not None:
            replica.strays.append(replica.request)
            replica.request = None
            replica.candidate.doubt()

    def let_a_stray_arrive(self, number: int) -> None:
        strays = self.replicas[number].strays
        if strays and not (stray := strays.pop(0)).served:
            stray.reach()

    def kill_and_start_again(self, number: int, rate: float) -> None:
        self.give_up_waiting(number)
        self.replicas[number] = self.start(rate, self.replicas[number].strays)

    def end_in_order(self, number: int) -> None:
        candidate = self.replicas[number].candidate
        candidate.resign()
        known = self.server.read()
        if known is not None and known.holder == candidate.identity:
            self.server.write(known, "")

    def leading(self) -> list[str]:
        return [
            replica.candidate.identity
            for replica in self.replicas
            if replica.candidate.holds(replica.clock(self.now))
        ]


class Election(RuleBasedStateMachine):
    """Three replicas whose clocks run up to 10 % too fast or too slow."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()

    @initialize(rates=st.tuples(RATES, RATES, RATES))
    def begin(self, rates: Sequence[float]) -> None:
        self.world.replicas = [self.world.start(rate) for rate in rates]

    @rule(seconds=st.sampled_from([0.01, 0.2, 0.5, 1.4, 2.4, 2.6, 3.9, 4.1, 30.0]))
    def pass_time(self, seconds: float) -> None:
        self.world.now += seconds

    @rule(number=REPLICAS)
    def send(self, number: int) -> None:
        self.world.send(number)

    @rule(number=REPLICAS)
    def serve(self, number: int) -> None:
        self.world.serve(number)

    @rule(number=REPLICAS)
    def answer(self, number: int) -> None:
        self.world.answer(number)

    @rule(number=REPLICAS)
    def ask(self, number: int) -> None:
        """Send, serve and answer: by single steps alone, leaders would be rare."""
        self.world.send(number)
        self.world.serve(number)
        self.world.answer(number)

    @rule(number=REPLICAS)
    def give_up_waiting(self, number: int) -> None:
        self.world.give_up_waiting(number)

    @rule(number=REPLICAS)
    def let_a_stray_arrive(self, number: int) -> None:
        self.world.let_a_stray_arrive(number)

    @rule(number=REPLICAS, rate=RATES)
    def kill_and_start_again(self, number: int, rate: float) -> None:
        self.world.kill_and_start_again(number, rate)

    @rule(number=REPLICAS, rate=RATES)
    def end_in_order_and_start_again(self, number: int, rate: float) -> None:
        self.world.end_in_order(number)
        self.world.kill_and_start_again(number, rate)

    @rule()
    def delete_the_lease(self) -> None:
        self.world.server.record = None

    @invariant()
    def at_most_one_leads(self) -> None:
        assert len(self.world.leading()) <= 1, self.world.leading()


TestElection = Election.TestCase
TestElection.settings = settings(max_examples=300, stateful_step_count=60, deadline=None)


def run(world: World, seconds: float) -> list[str]:
    """Let every replica ask twice a second; return who has led, in order."""
    leaders: list[str] = []
    for _ in range(round(seconds / RETRY_SECONDS)):
        for number in range(len(world.replicas)):
            world.send(number)
            world.serve(number)
            world.answer(number)
        assert len(world.leading()) <= 1
        leaders += [each for each in world.leading() if each not in leaders[-1:]]
        world.now += RETRY_SECONDS
    return leaders


def test_somebody_leads_soon_and_goes_on_leading() -> None:
    world = World()
    world.replicas = [world.start(rate) for rate in (1.0, 0.9, 1.1)]
    (leader,) = run(world, 60)
    assert world.leading() == [leader]


def test_another_leads_after_a_kill_and_at_once_after_an_end_in_order() -> None:
    world = World()
    world.replicas = [world.start(1.0), world.start(1.0)]
    (first,) = run(world, 10)
    number = int(first.removeprefix("replica-")) - 1
    world.kill_and_start_again(number, 1.0)
    assert run(world, LEASE_SECONDS - 1) == [], "it might act yet"
    (second,) = run(world, 2)
    assert second == world.replicas[1 - number].candidate.identity
    world.end_in_order(1 - number)
    assert run(world, 2 * RETRY_SECONDS) == [world.replicas[number].candidate.identity]
