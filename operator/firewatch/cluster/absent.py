"""Kinds that the API server does not know, so that it need not be asked for them all the time.

Looking for what scales a target stands between an alert and its answer.
"""

from datetime import datetime, timedelta

from firewatch.cluster.kinds import Kind

_MEMORY = timedelta(minutes=15)
"""How long that is believed: longer than until a quiet target is looked at again."""


class AbsentKinds:
    """When a kind was last found not to be installed."""

    def __init__(self) -> None:
        self._found: dict[Kind, datetime] = {}

    def note(self, kind: Kind, at: datetime) -> None:
        """Remember that the API server does not know a kind."""
        self._found[kind] = at

    def has(self, kind: Kind, now: datetime) -> bool:
        """Tell whether that was found a moment ago."""
        return kind in self._found and now - self._found[kind] < _MEMORY
