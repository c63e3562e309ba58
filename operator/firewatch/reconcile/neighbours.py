"""Telling the policies of other namespaces when a stack takes them, or takes them no more."""

from collections.abc import Sequence

from firewatch.api.resource import Key
from firewatch.cluster.kinds import ALERT_POLICY
from firewatch.reconcile.context import RULES, Context
from firewatch.reconcile.takers import EVERY_NAMESPACE, Taker


class Neighbours:
    """Notices when stacks come, go or select otherwise, and wakes the namespaces concerned."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._seen: frozenset[Taker] = frozenset()

    async def wake(self, takers: Sequence[Taker]) -> None:
        """Have the policies handed out anew of all namespaces for which something has changed."""
        now = frozenset(taker for taker in takers if taker.others)
        changed, self._seen = now ^ self._seen, now
        namespaces = frozenset[str]().union(*(taker.others for taker in changed))
        if EVERY_NAMESPACE in namespaces:
            policies = await self._context.cluster.list(ALERT_POLICY)
            namespaces = frozenset(policy["metadata"]["namespace"] for policy in policies)
        for namespace in namespaces:
            self._context.wake(Key(RULES, namespace, ""))
