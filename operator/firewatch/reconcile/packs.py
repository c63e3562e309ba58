"""Which packs of rules run, as rows of the stack's status; what was seen once is remembered there."""

from collections.abc import Sequence

from firewatch.api.stack import MonitoringStackStatus, PackStatus
from firewatch.build.packs.choose import ChosenPack
from firewatch.cluster.prometheus import PrometheusError
from firewatch.reconcile.servers import Server


def running_packs(before: MonitoringStackStatus) -> frozenset[str]:
    """Return the packs that ran, or whose subject has been seen, when the status was written (pure).

    What was seen stays: a program that is down tells nothing, and that is what its alerts are for.
    """
    return frozenset(row.name for row in before.packs if row.running)


async def gather_packs(servers: Sequence[Server], packs: Sequence[ChosenPack]) -> list[PackStatus]:
    """Return the rows of packs, having asked for what is awaited."""
    return [await _row(servers, pack) for pack in packs]


async def _row(servers: Sequence[Server], pack: ChosenPack) -> PackStatus:
    row = PackStatus(name=pack.name, running=not pack.why_not, message=pack.why_not)
    if pack.awaited and await _is_seen(servers, pack.awaited):
        return PackStatus(name=pack.name, running=True)
    return row


async def _is_seen(servers: Sequence[Server], metric: str) -> bool:
    for server in servers:
        try:
            if await server.api.has_series(f"group({metric})"):
                return True
        except PrometheusError:
            continue
    return False


def is_behind(packs: Sequence[ChosenPack], rows: Sequence[PackStatus]) -> bool:
    """Tell whether something has been seen whose rules are not made yet (pure)."""
    made = {pack.name for pack in packs if not pack.why_not}
    return any(row.running and row.name not in made for row in rows)
