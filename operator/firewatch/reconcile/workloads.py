"""The live workloads of a stack: which there are, and what keeps their pods from being ready."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from firewatch.api.resource import Object
from firewatch.api.stack import ComponentStatus
from firewatch.build import names
from firewatch.cluster.kinds import DAEMON_SET, DEPLOYMENT, EVENT, POD, STATEFUL_SET, Kind
from firewatch.reconcile.components import (
    Workload,
    daemon_set,
    explain_claim,
    explain_pods,
    explain_refusal,
    image_version,
    pending_claims,
    replicated,
    row,
)
from firewatch.reconcile.context import Context
from firewatch.reconcile.rollout import repair_rollout

_READERS: dict[Kind, Callable[[Object], Workload]] = {
    STATEFUL_SET: replicated,
    DAEMON_SET: daemon_set,
    DEPLOYMENT: replicated,
}
WORKLOAD_KINDS = frozenset(_READERS)


@dataclass(frozen=True)
class LiveWorkload:
    """A workload of a stack as just applied."""

    kind: Kind
    live: Object

    @property
    def application(self) -> str:
        """Return the name of its row."""
        return str(self.live["metadata"]["labels"][names.NAME_LABEL])

    def read(self) -> Workload:
        """Return how many pods it should have, and has."""
        return _READERS[self.kind](self.live)


async def gather_rows(
    context: Context,
    stack: str,
    workloads: Sequence[LiveWorkload],
    *,
    claims: Sequence[Object],
    endpoints: Mapping[str, str],
    versions: Mapping[str, str],
    repair: bool,
) -> list[ComponentStatus]:
    """Return the rows of a stack's status, one a workload; repair a rollout that is stuck."""
    rows = []
    for workload in workloads:
        counts, problem = workload.read(), ""
        if not counts.available:
            pods = await _pods(context, stack, workload)
            problem = await _problem(context, workload, counts, pods=pods, claims=claims)
            if repair and workload.kind is STATEFUL_SET:
                await repair_rollout(context, workload.live, pods)
        name = workload.application
        rows.append(
            row(
                name,
                counts,
                problem,
                version=versions.get(name) or image_version(workload.live),
                endpoint=endpoints.get(name, ""),
            )
        )
    return rows


async def _pods(context: Context, stack: str, workload: LiveWorkload) -> list[Object]:
    labels = names.selector(stack, workload.application)
    return await context.cluster.list(POD, workload.live["metadata"]["namespace"], labels)


async def _problem(
    context: Context,
    workload: LiveWorkload,
    counts: Workload,
    *,
    pods: Sequence[Object],
    claims: Sequence[Object],
) -> str:
    """Return why a workload does not have all its pods."""
    if counts.there < counts.wanted:
        events = await _events(context, workload.live, "FailedCreate")
        if refusal := explain_refusal(events):
            return refusal
    for claim in pending_claims(pods, claims):
        events = await _events(context, claim, "ProvisioningFailed")
        if failure := explain_claim(claim, events):
            return failure
    return explain_pods(pods)


async def _events(context: Context, about: Object, reason: str) -> list[Object]:
    metadata = about["metadata"]
    fields = {"involvedObject.uid": metadata["uid"], "reason": reason}
    return await context.cluster.list(EVENT, metadata["namespace"], fields=fields)
