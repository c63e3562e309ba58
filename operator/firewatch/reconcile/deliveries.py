"""Which receivers could not be told lately, from Alertmanager's own counts."""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from firewatch.api.conditions import Finding, bad, good, unknown
from firewatch.cluster.alertmanager import AlertmanagerError, Sent, Ways
from firewatch.reconcile.findings import NOTIFYING
from firewatch.reconcile.tellers import Teller


@dataclass
class Deliveries:
    """What the pods of a stack had counted at the last look."""

    _counts: dict[str, Ways] = field(default_factory=dict)
    _begun: bool = False

    async def look(self, tellers: Sequence[Teller], failing: Collection[str]) -> list[str]:
        """Return the ways that fail now, as receiver/integration, given those that failed before.

        A way stays as it was until it is used again. The first look only counts: what happened
        before it may be long ago.
        """
        answers = await asyncio.gather(*map(_counts, tellers))
        news: dict[str, list[Sent]] = {}
        counts: dict[str, Ways] = {}
        for teller, ways in zip(tellers, answers, strict=True):
            if ways is None:
                counts[teller.uid] = self._counts.get(teller.uid, {})
                continue
            counts[teller.uid] = ways
            before = self._counts.get(teller.uid, {} if self._begun else ways)
            for way, now in ways.items():
                news.setdefault("/".join(way), []).append(_since(before.get(way, Sent()), now))
        self._counts, self._begun = counts, self._begun or bool(tellers)
        return sorted(filter(None, (_verdict(name, n, failing) for name, n in news.items())))


async def _counts(teller: Teller) -> Ways | None:
    try:
        return await teller.api.sent()
    except AlertmanagerError:
        return None


def _since(before: Sent, now: Sent) -> Sent:
    """Return what has happened in between; counts begin at 0 when a server starts again."""
    if now.tried < before.tried or now.failed < before.failed:
        return now
    return Sent(now.tried - before.tried, now.failed - before.failed)


def _verdict(name: str, news: Sequence[Sent], failing: Collection[str]) -> str:
    tried, failed = sum(each.tried for each in news), sum(each.failed for each in news)
    fails = failed >= tried if tried else name in failing
    return name if fails else ""


def notifying(failing: Sequence[str], *, lonely: Sequence[str], deaf: Sequence[str]) -> Finding:
    """Return whether alerts arrive, and everybody could be told who was to be, and once."""
    if deaf:
        message = (
            f"the alert Watchdog does not get to pod {deaf[0]}, and no other alert will; the log of"
            " the Prometheus pods says why"
        )
        return bad(NOTIFYING, "WatchdogMissing", message)
    if failing:
        return bad(
            NOTIFYING,
            "NotificationsFailed",
            f"the last notification to {', '.join(failing[:5])} failed; the log of the Alertmanager"
            " pod says why",
        )
    if lonely:
        message = f"pod {lonely[0]} has not joined the others yet; what fires now is told twice"
        return unknown(NOTIFYING, "MeshForming", message)
    return good(NOTIFYING, "Notifying", "no receiver is known to fail")
