"""The cluster as a replica may use it: all may read, and only the one that leads may write.

Before each write it is asked of this machine's own clock whether the Lease is still held, and no
request is needed for that. A write that was begun in time and arrives late meets the tests that every
write of a target carries: replicas, ledger and uid as they were read.
"""

from collections.abc import Callable, Mapping

from firewatch.api.resource import Object
from firewatch.cluster.client import Cluster, Labels, Write, whole
from firewatch.cluster.errors import NotLeadingError
from firewatch.cluster.gate import Gate
from firewatch.cluster.kinds import TOKEN_REVIEW, Kind


class LeadingCluster:
    """Passes writes on while ``holds`` says that this replica leads."""

    def __init__(self, cluster: Cluster, holds: Callable[[], bool]) -> None:
        self._cluster = cluster
        self._holds = holds
        self._gate = Gate()

    def leads(self) -> bool:
        """Tell whether this replica may write at this moment."""
        return self._gate.is_open and self._holds()

    async def get(self, kind: Kind, namespace: str, name: str) -> Object:
        """Return one object; ``NotFoundError`` if it is not there."""
        return await self._cluster.get(kind, namespace, name)

    async def list(
        self,
        kind: Kind,
        namespace: str = "",
        labels: Labels | None = None,
        *,
        fields: Mapping[str, str] | None = None,
        metadata_only: bool = False,
        keep: Callable[[Object], Object] = whole,
    ) -> list[Object]:
        """Return the objects of a kind with these labels and fields, in one namespace or in all."""
        return await self._cluster.list(
            kind, namespace, labels, fields=fields, metadata_only=metadata_only, keep=keep
        )

    async def write(self, write: Write) -> Object:
        """Send one change, if this replica leads; ``NotLeadingError`` if it does not."""
        if not _changes_anything(write):
            return await self._cluster.write(write)
        if not self.leads():
            raise NotLeadingError(
                f"{write.verb} of {write.kind.kind} {write.namespace}/{write.name} was not sent:"
                " this replica does not hold the Lease"
            )
        with self._gate.passing():
            return await self._cluster.write(write)

    async def close(self, seconds: float) -> None:
        """Let no write begin any more, and wait at most so long for those that are under way."""
        await self._gate.close(seconds)


def _changes_anything(write: Write) -> bool:
    """Tell whether a write leaves anything behind: a review of a token does not."""
    return write.kind != TOKEN_REVIEW and not write.dry_run
