"""One run: the API fails, its circuit breaker opens, a share is tried, it closes, all is as before."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from e2e.audit import AuditLog
from e2e.kubectl import NeverError, Object, wait_for
from e2e.shop import Shop, Visits

_SECOND = 1.0
_PATIENCE = 240
_MEND_AFTER = 5
"""Seconds after its opening when somebody mends what fails, where the breaker cannot."""
_WINDOW = 5
"""Samples over which error ratios are given."""
_CALM = "Calm"
OPEN, HALF_OPEN = "BreakerOpen", "BreakerHalfOpen"
_CHANGED = ("pods", "services", "deployments")


@dataclass(frozen=True)
class Sample:
    """How it stood at a moment."""

    at: float
    """Seconds since the trouble began."""
    state: str
    message: str
    errors: float | None
    """Share of the visitor's requests that failed since the sample before; None without any."""


@dataclass(frozen=True)
class Result:
    """What came of a run; times are in seconds, error ratios from 0 to 1 and as the visitor saw them."""

    mechanism: str
    firing_to_open_s: float
    """From the alert's firing, by Prometheus' own clock, to the API server's answer to the first write."""
    errors_before: float
    errors_open: float
    """In the last third of the time that it is open: until a rollout is done, bad pods still answer."""
    half_open_s: float
    """From its opening to the first trial."""
    closed_s: float
    """From its opening to its closing."""
    closed: bool
    restored: bool
    events: list[str]
    samples: list[Sample] = field(repr=False, default_factory=list)


@dataclass
class Run:
    """A run of one mechanism."""

    shop: Shop
    mechanism: str
    show: Callable[[Sample], None] = lambda _sample: None
    samples: list[Sample] = field(default_factory=list)
    _visits: Visits = field(default_factory=lambda: Visits(0, 0))
    _began: float = 0.0

    @property
    def name(self) -> str:
        """Return the name of the AutoResponse."""
        return f"break-by-{self.mechanism}"

    def play(self) -> Result:
        """Play the run; ``NeverError`` if its breaker does not open or does not close."""
        shop, before = self.shop, self.shop.state()
        audit = AuditLog(shop.testbed.cluster)
        shop.kubectl.apply(shop.response(self.mechanism))
        wait_for("the AutoResponse to be Ready", self._is_ready)
        self._visits = shop.visits()
        self._began = time.monotonic()
        self._until_closed(shop.make_trouble(self.mechanism))
        if self.mechanism == "rollback":
            shop.wait_rolled_out()
        restored = self._is_restored(before)
        result = self._result(audit, restored=restored)
        shop.kubectl.delete("aresp", self.name, shop.namespace)
        shop.wait_calm()
        return result

    def _is_ready(self) -> bool:
        conditions = self.shop.status(self.name).get("conditions", [])
        return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)

    def _until_closed(self, bad: list[str]) -> None:
        """Look every second; mend what fails once the breaker has been open for a while."""
        opened, is_mended = 0.0, False
        for sample in self._look():
            if sample.state == OPEN and not opened:
                opened = sample.at
            if opened and not is_mended and sample.at - opened >= _MEND_AFTER:
                self.shop.mend(bad)
                is_mended = True
            if "BreakerClosed" in self.shop.history(self.name):
                return
        raise NeverError(f"{self.mechanism}: not closed after {_PATIENCE} s: {self.samples[-1]}")

    def _look(self) -> Iterator[Sample]:
        due = time.monotonic()
        while time.monotonic() < self._began + _PATIENCE:
            due += _SECOND
            time.sleep(max(0.0, due - time.monotonic()))
            visits, status = self.shop.visits(), self.shop.status(self.name)
            sample = Sample(
                at=round(time.monotonic() - self._began, 1),
                state=status.get("state", _CALM),
                message=status.get("message", ""),
                errors=visits.ratio_since(self._visits),
            )
            self._visits = visits
            self.samples.append(sample)
            self.show(sample)
            yield sample

    def _is_restored(self, before: Object) -> bool:
        try:
            wait_for("all to be as before", lambda: self.shop.state() == before, seconds=30)
        except NeverError:
            return False
        return True

    def _result(self, audit: AuditLog, *, restored: bool) -> Result:
        history = self.shop.status(self.name)["history"]
        times = {each["event"]: _moment(each["time"]) for each in history}
        written = min(
            call.answered
            for call in audit.calls()
            if call.namespace == self.shop.namespace
            and (call.verb, call.code, call.dry_run) == ("patch", 200, False)
            and call.resource in _CHANGED
        )
        opened = times["BreakerOpened"]
        is_open = [each for each in self.samples if each.state == OPEN]
        calm_before = [each for each in self.samples if each.at < is_open[0].at]
        return Result(
            mechanism=self.mechanism,
            firing_to_open_s=round((written - self._fired()).total_seconds(), 3),
            errors_before=_mean(calm_before),
            errors_open=_mean(is_open[-max(1, len(is_open) // 3) :]),
            half_open_s=round((times["BreakerHalfOpen"] - opened).total_seconds(), 1),
            closed_s=round((times["BreakerClosed"] - opened).total_seconds(), 1),
            closed="BreakerClosed" in times,
            restored=restored,
            events=self.shop.history(self.name),
            samples=self.samples,
        )

    def _fired(self) -> datetime:
        """Return the first evaluation in which the alert fired."""
        window = int(time.monotonic() - self._began) + 1
        selector = f'ALERTS{{alertname="APIHighErrorRate",alertstate="firing"}}[{window}s]'
        moments = [
            float(moment) for series in self.shop.query(selector) for moment, _ in series["values"]
        ]
        return datetime.fromtimestamp(min(moments), UTC)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _mean(samples: list[Sample]) -> float:
    """Return the mean of the last error ratios; 0 without any."""
    found = [each.errors for each in samples[-_WINDOW:] if each.errors is not None]
    return round(sum(found) / len(found), 4) if found else 0.0
