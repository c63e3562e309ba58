"""Having Alertmanager run what was built, without the policies if it refuses it with them."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from firewatch.api.alerting import LeftOut
from firewatch.api.conditions import Finding, bad
from firewatch.build.alertmanager import build_config_secret
from firewatch.build.alertmanager_config import Notifications, render_notifications
from firewatch.build.notifying import Sources
from firewatch.build.objects import Stack
from firewatch.build.policy_routes import RoutingPolicy
from firewatch.cluster.apply import apply
from firewatch.cluster.errors import ClusterError, UnreachableError
from firewatch.cluster.kinds import SECRET
from firewatch.reconcile.context import Context
from firewatch.reconcile.findings import ALERTMANAGER_LOADED, not_applied
from firewatch.reconcile.tellers import RELOAD_FAILED, Teller, confirm_notifications


@dataclass
class Settling:
    """What Alertmanager has refused of a stack, so that it is not tried again unchanged."""

    _refused: dict[str, str] = field(default_factory=dict)
    """What Alertmanager said, by the revision that it refused."""

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
        that starts with a refused configuration would not come up: the stack's own settings go back.
        """
        wanted = _render(stack, sources, policies)
        if wanted.revision not in self._refused:
            loaded = await _write_and_confirm(context, stack, wanted, tellers)
            if loaded.reason != RELOAD_FAILED or not policies:
                return wanted, loaded
            self._refused = {wanted.revision: loaded.message}
        without = _render(stack, sources, ())
        loaded = await _write_and_confirm(context, stack, without, tellers)
        notes = _notes(policies, self._refused[wanted.revision])
        return replace(without, left_out=[*without.left_out, *notes]), loaded


def _render(stack: Stack, sources: Sources, policies: Sequence[RoutingPolicy]) -> Notifications:
    assert stack.spec.alerting
    return render_notifications(stack, stack.spec.alerting, sources, policies)


def _notes(policies: Sequence[RoutingPolicy], why: str) -> list[LeftOut]:
    return [
        LeftOut(
            policy=policy.title,
            path="spec.routes",
            reason="RejectedByServer",
            message=f"left out with those of all policies: {why}"[:1024],
        )
        for policy in policies
    ]


async def _write_and_confirm(
    context: Context, stack: Stack, notifications: Notifications, tellers: Sequence[Teller]
) -> Finding:
    secret = build_config_secret(stack, notifications)
    try:
        await apply(context.cluster, SECRET, secret)
    except UnreachableError:
        raise
    except ClusterError as error:
        why = not_applied(SECRET.kind, secret["metadata"]["name"], error)
        return bad(ALERTMANAGER_LOADED, why.reason, why.message)
    return await confirm_notifications(context, notifications.revision, tellers)
