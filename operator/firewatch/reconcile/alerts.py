"""A pass over an AlertPolicy: it belongs to a stack, whose rules are looked at as a whole."""

import math

from firewatch.api.resource import Key
from firewatch.reconcile.context import RULES, Context


async def reconcile_alerts(context: Context, key: Key) -> float:
    """Have the policies of the namespace handed out to their stacks.

    A thousand policies that change at once so cost a handful of passes, each over all of them. The
    key itself needs no resync: the namespace's key has one.
    """
    context.batches.note(key.namespace, context.clock())
    context.wake(Key(RULES, key.namespace, ""))
    return math.inf
