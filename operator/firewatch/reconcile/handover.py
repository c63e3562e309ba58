"""Between the passes over rules and over notifications: policies one way, findings the other."""

from collections.abc import Iterable, Sequence

from firewatch.api.resource import Key, Object
from firewatch.reconcile.context import NOTIFICATIONS, RULES, Context
from firewatch.reconcile.routed import Routed, says_whom


def hand_over_routes(context: Context, stack: Key, policies: Iterable[Object]) -> None:
    """Have the policies of a stack that say whom alerts are told looked at, if they have changed."""
    key = Key(NOTIFICATIONS, stack.namespace, stack.name)
    mine = tuple(policy for policy in policies if says_whom(policy))
    known = context.routing.get(key)
    if known is None or _forms(known) != _forms(mine):
        context.wake(key)
    context.routing[key] = mine


def hand_back(context: Context, stack: Key, found: Sequence[tuple[Object, Routed]]) -> None:
    """Have the policies told how their routes stand, by the pass that alone writes their status."""
    news = {policy["metadata"]["uid"]: routed for policy, routed in found}
    if any(context.routed.get(uid) != routed for uid, routed in news.items()):
        context.routed.update(news)
        context.wake(Key(RULES, stack.namespace, stack.name))


def _forms(policies: Iterable[Object]) -> set[tuple[str, int]]:
    return {(each["metadata"]["uid"], each["metadata"]["generation"]) for each in policies}
