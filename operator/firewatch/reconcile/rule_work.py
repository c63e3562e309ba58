"""What a pass over rules works with, and what is remembered between passes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from firewatch.api.conditions import Finding
from firewatch.build.bisection import Bisection
from firewatch.build.rules import digest
from firewatch.reconcile.delivery import Loaded, Versions
from firewatch.reconcile.judge import Opinions
from firewatch.reconcile.judging import Judged
from firewatch.reconcile.policies import Scene
from firewatch.reconcile.policy_report import Outcome
from firewatch.reconcile.rule_tests import TestResults

_UNTOLD = timedelta(seconds=4)
"""How long policies are not told how they stand while others change."""


@dataclass
class Memory:
    """What is remembered about the rules of a stack: hashes, and texts only while unconfirmed."""

    fingerprint: int | None = None
    """Of the stack and the policies that the last pass has seen."""
    changed: bool = False
    """Whether policies have changed since the last pass read them."""
    told_at: datetime | None = None
    """When policies were last told how they stand."""
    judged: dict[str, Judged] = field(default_factory=dict)
    versions: Versions = field(default_factory=Versions)
    written_at: datetime | None = None
    """When slots were last written that are not confirmed yet."""
    delivered_in: timedelta = timedelta(0)
    """How long it took until the last were confirmed."""
    healthy: frozenset[str] = frozenset()
    """Servers whose last reload had succeeded before that."""
    sound: dict[str, str] = field(default_factory=dict)
    """Texts that ran before and have been replaced by unconfirmed ones."""
    tests_open: bool = True
    """Whether there may be Jobs of tests, of this process or of the one before."""
    search: Bisection | None = None
    no_search_before: datetime | None = None
    reported: dict[str, tuple[str, Outcome]] = field(default_factory=dict)
    """Resource version and outcome of each policy's last report, by uid."""

    def may_report_later(self, now: datetime) -> bool:
        """Tell whether to look at new policies first: statuses would slow down their creation."""
        return self.told_at is not None and now - self.told_at < _UNTOLD

    def keep_sound(
        self, before: Mapping[str, str], after: Mapping[str, str], loaded: Loaded
    ) -> None:
        """Keep texts that run and are about to be replaced, in case the server refuses the new."""
        for name, text in before.items():
            if after.get(name) != text and (name, digest(text)) in loaded:
                self.sound.setdefault(name, text)

    def delivery(self, now: datetime) -> timedelta:
        """Return how long a delivery takes at present: the last, or longer if one is under way."""
        under_way = now - self.written_at if self.written_at else timedelta(0)
        return max(self.delivered_in, under_way)

    def confirm(self, now: datetime) -> None:
        """Note that the servers have what was last written."""
        if self.written_at:
            self.delivered_in = now - self.written_at
        self.written_at = None

    def settle(self, revisions: Mapping[int, str]) -> None:
        """Forget what was only needed until the servers had confirmed."""
        self.sound.clear()
        self.versions.forget_others(revisions)


@dataclass
class Work:
    """One pass in progress."""

    scene: Scene
    memory: Memory
    opinions: Opinions
    culprits: dict[str, str]
    """Digests of the files that this pass has found to be refused, by name."""
    tests: TestResults
    began: datetime
    """When the pass began, reading included."""
    slots: Mapping[int, Mapping[str, str]] = field(default_factory=dict)
    homeless: frozenset[str] = frozenset()
    faults: Mapping[int, Finding] = field(default_factory=dict)
    """Why slots could not be written."""
    revisions: dict[int, str] = field(default_factory=dict)
    """What the servers should show."""
    attempt: str = ""
    is_refusing: bool = False
    """Whether the last reload of a Prometheus of others has failed."""

    def files(self) -> dict[str, str]:
        """Return the texts of all planned files by name."""
        return {name: text for texts in self.slots.values() for name, text in texts.items()}

    def fault_of(self, file: str) -> Finding | None:
        """Return why the slot of a file could not be written."""
        return next((self.faults[slot] for slot in self.faults if file in self.slots[slot]), None)

    def keep_revisions_of_faults(self) -> None:
        """Expect of slots that could not be written what they held before."""
        before = self.scene.slots.revisions
        for slot in self.faults:
            self.revisions.pop(slot, None)
            if slot in before:
                self.revisions[slot] = before[slot]
