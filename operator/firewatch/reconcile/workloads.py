"""The live workloads of a stack: which there are, and what keeps their pods from being ready."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from firewatch.api.resource import Object
from firewatch.api.stack import ComponentStatus
from firewatch.build import names
from firewatch.cluster.kinds import DAEMON_SET, DEPLOYMENT, EVENT, POD, STATEFUL_SET, Kind
from firewatch.reconcile.components import (
    Workload,
    daemon_set,
    deployment,
    explain_pods,
    explain_refusal,
    row,
    stateful_set,
)
from firewatch.reconcile.context import Context

_READERS: dict[Kind, Callable[[Object], Workload]] = {
    STATEFUL_SET: stateful_set,
    DAEMON_SET: daemon_set,
    DEPLOYMENT: deployment,
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
    context: Context, stack: str, workloads: Sequence[LiveWorkload]
) -> list[ComponentStatus]:
    """Return the rows of a stack's status, one a workload."""
    rows = []
    for workload in workloads:
        counts = workload.read()
        problem = "" if counts.available else await _problem(context, stack, workload, counts)
        rows.append(row(workload.application, counts, problem))
    return rows


async def _problem(context: Context, stack: str, workload: LiveWorkload, counts: Workload) -> str:
    """Return why a workload does not have all its pods."""
    metadata = workload.live["metadata"]
    namespace = metadata["namespace"]
    if counts.there < counts.wanted:
        fields = {"involvedObject.uid": metadata["uid"], "reason": "FailedCreate"}
        events = await context.cluster.list(EVENT, namespace, fields=fields)
        if refusal := explain_refusal(events):
            return refusal
    labels = names.selector(stack, workload.application)
    return explain_pods(await context.cluster.list(POD, namespace, labels))
