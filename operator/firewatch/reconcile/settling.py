"""Having Alertmanager run what was built, without the policies because of which it refuses it."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

from firewatch.api.alerting import LeftOut
from firewatch.api.conditions import Finding, bad, unknown
from firewatch.api.resource import ConditionStatus
from firewatch.build import names
from firewatch.build.alertmanager import build_config_secret
from firewatch.build.alertmanager_config import Notifications, render_notifications
from firewatch.build.notifying import Sources
from firewatch.build.objects import Stack
from firewatch.build.policy_routes import RoutingPolicy
from firewatch.cluster.apply import apply
from firewatch.cluster.errors import ClusterError, UnreachableError
from firewatch.cluster.kinds import SECRET
from firewatch.reconcile.context import Context
from firewatch.reconcile.findings import ALERTMANAGER_LOADED, REJECTED_BY_SERVER, not_applied
from firewatch.reconcile.tellers import RELOAD_FAILED, Teller, confirm_notifications

_SEARCHING = unknown(
    ALERTMANAGER_LOADED, "Reloading", "looking for the policy because of which Alertmanager refuses"
)

Attempt = Callable[[Sequence[RoutingPolicy]], Awaitable[tuple[Notifications, Finding]]]
"""Has Alertmanager run the stack's own settings with those of some policies."""


@dataclass
class Settling:
    """Which policies Alertmanager has refused, so that they are not tried again unchanged."""

    _refused: dict[str, LeftOut] = field(default_factory=dict)
    """By the policy's title."""
    _unusable: str = ""
    """The stack's own settings, if Alertmanager refuses them even without any policy."""

    @classmethod
    def recall(cls, left_out: Sequence[LeftOut]) -> Self:
        """Return what a stack's status has kept, for an operator that has just started."""
        return cls({each.policy: each for each in left_out if each.reason == REJECTED_BY_SERVER})

    async def settle(
        self,
        context: Context,
        stack: Stack,
        *,
        sources: Sources,
        policies: Sequence[RoutingPolicy],
        tellers: Sequence[Teller],
    ) -> tuple[Notifications, Finding]:
        """Write the settings and have them loaded; return them and whether they are.

        Every part has been checked before, so that this is for what the checks do not know. A pod
        that starts with a refused configuration would not come up: the culprits are taken out.
        """

        async def attempt(
            some: Sequence[RoutingPolicy], *, patient: bool = True
        ) -> tuple[Notifications, Finding]:
            chosen = {each.title for each in some}
            made = _render(stack, sources, [each for each in policies if each.title in chosen])
            return made, await _write_and_confirm(context, stack, made, tellers, patient=patient)

        self._forget(policies)
        wanted = [each for each in policies if each.title not in self._refused]
        is_unusable = self._unusable and _render(stack, sources, ()).revision == self._unusable
        taken = [] if is_unusable else wanted
        made, loaded = await attempt(taken, patient=False)
        if taken and loaded.reason == RELOAD_FAILED:
            taken = await self._search(attempt, wanted, loaded)
            made, loaded = await attempt(taken)
        tried = {each.title for each in taken} | self._refused.keys()
        if loaded.status is ConditionStatus.TRUE and any(p.title not in tried for p in wanted):
            self._unusable, loaded = "", _SEARCHING
        return replace(made, left_out=[*made.left_out, *self._refused.values()]), loaded

    def _forget(self, policies: Sequence[RoutingPolicy]) -> None:
        """Forget policies that have changed or are gone."""
        present = {each.title: _digest(each) for each in policies}
        self._refused = {
            title: refusal
            for title, refusal in self._refused.items()
            if present.get(title) == refusal.revision
        }

    async def _search(
        self, attempt: Attempt, suspects: Sequence[RoutingPolicy], refused: Finding
    ) -> list[RoutingPolicy]:
        """Return the policies that Alertmanager takes together, and note the others.

        If it does not even take the stack's own settings, no policy is to blame. If it stops
        answering, what has not been tried is left for the next pass.
        """
        taken: list[RoutingPolicy] = []
        own, alone = await attempt(taken)
        self._unusable = own.revision if alone.reason == RELOAD_FAILED else ""
        waiting = [(list(suspects), refused)] if alone.status is ConditionStatus.TRUE else []
        while waiting:
            part, verdict = waiting.pop()
            if len(part) == 1:
                self._refused[part[0].title] = _note(part[0], verdict.message)
                continue
            middle = len(part) // 2
            for half in (part[middle:], part[:middle]):
                _, verdict = await attempt([*taken, *half])
                if verdict.reason == RELOAD_FAILED:
                    waiting.append((half, verdict))
                elif verdict.status is ConditionStatus.TRUE:
                    taken += half
                else:
                    return taken
        return taken


def _digest(policy: RoutingPolicy) -> str:
    return names.short_hash(policy.spec.model_dump_json(), 16)


def _render(stack: Stack, sources: Sources, policies: Sequence[RoutingPolicy]) -> Notifications:
    assert stack.spec.alerting
    return render_notifications(stack, stack.spec.alerting, sources, policies)


def _note(policy: RoutingPolicy, message: str) -> LeftOut:
    return LeftOut(
        policy=policy.title,
        path="spec.routes",
        reason=REJECTED_BY_SERVER,
        message=f"left out with its receivers: {message}"[:1024],
        revision=_digest(policy),
    )


async def _write_and_confirm(
    context: Context,
    stack: Stack,
    notifications: Notifications,
    tellers: Sequence[Teller],
    *,
    patient: bool,
) -> Finding:
    secret = build_config_secret(stack, notifications)
    try:
        await apply(context.cluster, SECRET, secret)
    except UnreachableError:
        raise
    except ClusterError as error:
        why = not_applied(SECRET.kind, secret["metadata"]["name"], error)
        return bad(ALERTMANAGER_LOADED, why.reason, why.message)
    return await confirm_notifications(context, notifications.revision, tellers, patient=patient)
