"""Finding the file because of which Prometheus refuses all rules.

Loading is all or nothing and the API does not say which file it was. So the last good files go
back, then the new ones come in again, half by half, until only culprits are left out. This is a pure
state machine: what it says should be delivered is delivered, and it is told how that went.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Self

Files = dict[str, str]
"""Texts of rule files by name."""


class Phase(StrEnum):
    """What the delivery in hand is for."""

    RESTORING = "restoring"
    """The accepted files go back."""
    TRYING = "trying"
    """A part of the suspects is tried on top of them."""
    SETTLING = "settling"
    """All suspects are judged; the accepted files are delivered in their final form."""
    DONE = "done"
    HOPELESS = "hopeless"
    """The server refuses even an empty set, so the rules are not to blame."""


@dataclass
class Bisection:
    """One search for culprits."""

    accepted: Files
    """Files that the server has loaded before or in this search."""
    waiting: list[Files] = field(default_factory=list)
    """Suspects still to be tried, in parts; the last part is next."""
    trial: Files = field(default_factory=dict)
    """The part that is being tried."""
    culprits: Files = field(default_factory=dict)
    phase: Phase = Phase.RESTORING
    restores: int = 1

    @classmethod
    def start(cls, good: Mapping[str, str], suspects: Mapping[str, str]) -> Self:
        """Begin after the server has refused ``good`` and ``suspects`` together."""
        search = cls({**good})
        search._split({**suspects})
        return search

    @property
    def over(self) -> bool:
        """Tell whether nothing is left to be delivered."""
        return self.phase in {Phase.DONE, Phase.HOPELESS}

    @property
    def attempt(self) -> str:
        """Return what makes the content of a delivery differ from any before, if it must.

        Prometheus does not reload content that it has loaded before, and without a reload it goes
        on reporting the failure of the last one.
        """
        return f"-r{self.restores}" if self.phase is Phase.RESTORING else ""

    def files(self) -> Files:
        """Return what the server should have now."""
        return {**self.accepted, **self.trial}

    def loaded(self) -> None:
        """Go on after the server has loaded ``files()``."""
        if self.phase is Phase.SETTLING:
            self.phase = Phase.DONE
            return
        self.accepted |= self.trial
        self.trial = {}
        if self.waiting:
            self.trial = self.waiting.pop()
            self.phase = Phase.TRYING
        else:
            self.phase = Phase.SETTLING

    def refused(self) -> None:
        """Go on after the server has refused ``files()``."""
        if self.phase is Phase.TRYING:
            self._split(self.trial)
            self.trial = {}
        elif self.accepted:
            # Even what was thought to be good is refused: suspect it as well.
            self._split(self.accepted)
            self.accepted = {}
        else:
            self.phase = Phase.HOPELESS
            return
        self.phase = Phase.RESTORING
        self.restores += 1

    def _split(self, suspects: Files) -> None:
        """Put suspects that were refused together into two parts; one alone is a culprit."""
        if len(suspects) == 1:
            self.culprits |= suspects
            return
        names = sorted(suspects)
        middle = len(names) // 2
        for half in (names[middle:], names[:middle]):
            if half:
                self.waiting.append({name: suspects[name] for name in half})
