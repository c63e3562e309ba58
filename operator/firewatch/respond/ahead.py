"""The write ahead: the ledger says what is about to be written to the target.

It stands between an alert and its answer, so it is as small as it can be. It is refused if what it
builds on has changed. Writing the finalizer beside it at the same time gains nothing: the API server
then does one of the two twice. It comes after the ledger, so that whoever has it has a status: one
without any is a copy whose record is lost (``respond/lost.py``). Both stand before the target is written.
"""

from dataclasses import replace

from firewatch.api.circuit import BreakerRecord
from firewatch.api.ledger import Ledger
from firewatch.api.resource import Object
from firewatch.api.restart import RestartRecord
from firewatch.cluster.client import Verb, Write
from firewatch.cluster.kinds import AUTO_RESPONSE
from firewatch.cluster.status import dump_status
from firewatch.respond.context import RespondContext
from firewatch.respond.finalizer import add_finalizer, has_finalizer
from firewatch.respond.registry import Entry


def put_live(context: RespondContext, entry: Entry, live: Object) -> Entry:
    """Remember an AutoResponse as it was just written."""
    context.registry.renew(live)
    return replace(entry, live=live)


async def write_ahead(context: RespondContext, keeper: Entry, ledger: Ledger) -> None:
    """Write the ledger and, if it is missing, the finalizer."""
    write = _status_write(keeper.live, "ledger", dump_status(ledger))
    keeper = put_live(context, keeper, await context.cluster.write(write))
    if not has_finalizer(keeper.live):
        put_live(context, keeper, await add_finalizer(context.cluster, keeper.live))


async def announce_restart(context: RespondContext, entry: Entry, record: RestartRecord) -> None:
    """Write down that a target is about to be restarted; nothing is owed, so it needs no finalizer."""
    write = _status_write(entry.live, "restart", dump_status(record))
    put_live(context, entry, await context.cluster.write(write))


async def announce_breaker(context: RespondContext, entry: Entry, record: BreakerRecord) -> None:
    """Write down what is about to be written for a circuit breaker, and see to the finalizer."""
    said, value = entry.live.get("status", {}).get("breaker"), dump_status(record)
    if said != value:
        write = _status_write(entry.live, "breaker", value)
        entry = put_live(context, entry, await context.cluster.write(write))
    if not has_finalizer(entry.live):
        put_live(context, entry, await add_finalizer(context.cluster, entry.live))


def _status_write(live: Object, field: str, value: Object) -> Write:
    metadata, status = live["metadata"], live.get("status")
    path, known = f"/status/{field}", (status or {}).get(field)
    if status is None:
        path, value = "/status", {field: value}
    # Other parts of the status may have been written meanwhile; but a record that is there cannot be
    # compared: as text it has an alert's name in it, and the API server writes "<" otherwise than we do.
    same = (
        {"op": "test", "path": "/metadata/resourceVersion", "value": metadata["resourceVersion"]}
        if known
        else {"op": "test", "path": path, "value": None}
    )
    patch = [
        {"op": "test", "path": "/metadata/uid", "value": metadata["uid"]},
        {"op": "test", "path": "/metadata/generation", "value": metadata["generation"]},
        # A path that is not there equals null, but what it leads through must be there.
        same,
        {"op": "add", "path": path, "value": value},
    ]
    return Write(
        Verb.JSON_PATCH, AUTO_RESPONSE, metadata["namespace"], metadata["name"], patch, "status"
    )
