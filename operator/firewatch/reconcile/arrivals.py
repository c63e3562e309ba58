"""Whether alerts get to Alertmanager, told by the one that always fires."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from firewatch.build import watchdog
from firewatch.cluster.alertmanager import AlertmanagerError
from firewatch.reconcile.tellers import Teller

_PATIENCE = timedelta(minutes=3)
"""Prometheus sends an alert again after a minute, and after a start it has to evaluate it first."""


@dataclass
class Arrivals:
    """Since when the pods of a stack have not heard the alert, by uid."""

    _missing: dict[str, datetime] = field(default_factory=dict)

    async def look(self, tellers: Sequence[Teller], now: datetime) -> list[str]:
        """Return the names of the pods that have not heard it for some minutes."""
        deaf = {each.uid: each for each in tellers if not await _hears(each)}
        self._missing = {uid: self._missing.get(uid, now) for uid in deaf}
        return sorted(
            str(deaf[uid].pod["metadata"]["name"])
            for uid, since in self._missing.items()
            if now - since >= _PATIENCE
        )


async def _hears(teller: Teller) -> bool:
    try:
        return await teller.api.has_alert(*watchdog.MATCHERS)
    except AlertmanagerError:
        return True  # that it does not answer is said elsewhere
