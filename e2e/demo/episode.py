"""The episode: load, alert, more replicas, load off, resolved, the replicas from before."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from e2e.demo.load import Load
from e2e.demo.names import ALERT, NAMESPACE, RESPONSE, STACK, TARGET, DemoError
from e2e.demo.quiet import LIMIT, too_busy
from e2e.demo.screen import Screen
from e2e.demo.timeline import Sample
from e2e.demo.watching import Watcher

_PAUSE = 0.2
_CALM_SECONDS = 3.0
_CALM_PERCENT = 25.0
_RETRY_SECONDS = 20.0
"""How long the cluster may not answer before that is an error of its own."""

Condition = Callable[[Sample], bool]

_RESPONSE_HINTS = (
    f"kubectl describe aresp {RESPONSE} -n {NAMESPACE}",
    "kubectl logs -n firewatch -l app.kubernetes.io/name=firewatch --prefix",
)
_ALERT_HINTS = (
    f"kubectl get mstack,apol -n {NAMESPACE} -o wide",
    f"Prometheus' page Alerts: kubectl port-forward -n {NAMESPACE} svc/{STACK}-prometheus 9090",
)
_TARGET_HINTS = (
    f"kubectl get pods -n {NAMESPACE}",
    f"kubectl describe deployment {TARGET} -n {NAMESPACE}",
)


_PENDING = f"node CPU is at {{percent:.0f}} %: {ALERT} is pending"
_ALERT_NEWS = {
    ("inactive", "pending"): (_PENDING, "yellow"),
    ("firing", "pending"): (_PENDING, "yellow"),
    ("inactive", "firing"): (f"{ALERT} fires", "bold red"),
    ("pending", "firing"): (f"{ALERT} fires", "bold red"),
    ("pending", "inactive"): (f"{ALERT} is no longer pending", ""),
    ("firing", "inactive"): (f"{ALERT} has resolved; the replicas are held for a while", "bold"),
}


@dataclass(frozen=True)
class Outcome:
    """What was seen of the episode; the time is this machine's clock."""

    before: int
    wanted: int
    """Replicas that the operator asked for."""
    peak: int
    after: int
    ready_at: datetime


class Episode:
    """Plays the episode, and shows it."""

    def __init__(self, watcher: Watcher, screen: Screen, load: Load) -> None:
        self._watcher = watcher
        self._screen = screen
        self._load = load
        self._answered = time.monotonic()

    def play(self) -> Outcome:
        """Play the whole episode; ``DemoError`` says what did not happen."""
        before = self._settle()
        try:
            wanted, ready_at = self._overload(before)
        finally:
            self._tell("load off", "bold")
            self._load.stop()
        self._relieve(before)
        after = self._confirm(before)
        self._screen.story.waiting_for = ""
        peak = max(sample.wanted for sample in self._screen.story.samples)
        return Outcome(before, wanted, peak, after, ready_at)

    def _settle(self) -> int:
        """Wait until everything is at rest; return the replicas that the target has then."""
        try:
            sample = self._until("everything is at rest", _is_calm, 90, _RESPONSE_HINTS)
        except DemoError as error:
            samples = self._screen.story.samples
            last = samples[-1].cpu if samples else None
            if last is not None and last > LIMIT:
                raise too_busy(last) from error
            raise
        self._tell(f"at rest: {TARGET} has {sample.ready} replicas, {ALERT} is {sample.alert}")
        self._linger("to see the quiet before", calm=True)
        return sample.wanted

    def _overload(self, before: int) -> tuple[int, datetime]:
        cores = self._load.start()
        self._tell(f"load on: a BestEffort pod burns {cores} cores", "bold")
        self._until("the alert is pending", lambda s: s.alert != "inactive", 90, _ALERT_HINTS)
        self._until("the alert fires", lambda s: s.alert == "firing", 60, _ALERT_HINTS)
        more = self._until(
            "the operator asks for more replicas", lambda s: s.wanted > before, 30, _RESPONSE_HINTS
        )
        self._until(
            f"{more.wanted} replicas are ready",
            lambda s: s.ready == s.wanted > before,
            180,
            _TARGET_HINTS,
        )
        ready_at = datetime.now(UTC)
        self._linger("to see them work")
        return more.wanted, ready_at

    def _relieve(self, before: int) -> None:
        self._until("the alert has resolved", lambda s: s.alert == "inactive", 120, _ALERT_HINTS)
        self._until(
            f"{TARGET} is back at {before} replicas",
            lambda s: s.wanted == before,
            120,
            _RESPONSE_HINTS,
        )

    def _confirm(self, before: int) -> int:
        """Wait until the response is over and only the old replicas are left, and see it stay."""
        self._until(
            "the response is over",
            lambda s: s.ready == s.wanted == before and s.response == "Idle",
            60,
            _RESPONSE_HINTS,
        )
        self._linger("to see that it stays")
        self._tell(f"at rest: {TARGET} has {before} replicas, as before")
        return self._screen.story.samples[-1].wanted

    def _until(
        self, what: str, is_met: Condition, seconds: float, hints: tuple[str, ...]
    ) -> Sample:
        """Look until a condition is met; ``DemoError`` when it takes longer than it may."""
        self._screen.story.waiting_for = f"waiting until {what}"
        deadline = time.monotonic() + seconds
        while True:
            sample = self._look()
            if sample is not None and is_met(sample):
                return sample
            if time.monotonic() > deadline:
                raise DemoError(f"Waited {seconds:.0f} s in vain until {what}.", *hints)
            time.sleep(_PAUSE)

    def _linger(self, why: str, *, calm: bool = False) -> None:
        """Go on looking for a moment; if it is to be calm, somewhat longer while it is not."""
        self._screen.story.waiting_for = f"waiting a moment {why}"
        began = time.monotonic()
        while (passed := time.monotonic() - began) < _CALM_SECONDS * (5 if calm else 1):
            sample = self._look()
            is_calm = sample is not None and (sample.cpu or 0.0) < _CALM_PERCENT
            if calm and is_calm and passed >= _CALM_SECONDS:
                return
            time.sleep(_PAUSE)

    def _look(self) -> Sample | None:
        """Look once and show it; None if the cluster does not answer just now."""
        try:
            sample = self._watcher.look()
        except (OSError, ValueError, KeyError) as error:
            if time.monotonic() - self._answered > _RETRY_SECONDS:
                raise DemoError(
                    f"The cluster has not answered for {_RETRY_SECONDS:.0f} s: {error}",
                    "make cluster-status",
                ) from error
            return None
        self._answered = time.monotonic()
        self._narrate(sample)
        self._screen.show(sample)
        return sample

    def _narrate(self, sample: Sample) -> None:
        """Tell what is different from the last look, and which Events have come."""
        for earlier in self._screen.story.samples[-1:]:
            if sample.alert != earlier.alert:
                text, style = _ALERT_NEWS[earlier.alert, sample.alert]
                self._tell(text.format(percent=sample.cpu or 0.0), style)
            if sample.wanted != earlier.wanted:
                self._tell(f"{TARGET}: {earlier.wanted} → {sample.wanted} replicas", "bold magenta")
            elif sample.ready == sample.wanted > earlier.ready:
                self._tell(f"all {sample.ready} replicas are ready", "bold green")
        for line in self._watcher.news():
            self._tell(line, "cyan")

    def _tell(self, text: str, style: str = "") -> None:
        self._screen.tell(self._watcher.elapsed, text, style)


def _is_calm(sample: Sample) -> bool:
    return (
        sample.cpu is not None
        and sample.cpu <= LIMIT
        and sample.alert == "inactive"
        and sample.response == "Idle"
        and sample.ready == sample.wanted > 0
    )
