"""Doing a restart: announced in the status, written to the pod template, and then decided anew."""

from dataclasses import replace

from firewatch.api.resource import Key
from firewatch.api.restart import RestartRecord
from firewatch.cluster.errors import ConflictError
from firewatch.cluster.kinds import AUTO_RESPONSE
from firewatch.cluster.status import dump_status, write_status
from firewatch.respond.actuator import restart_write
from firewatch.respond.ahead import announce_restart, put_live
from firewatch.respond.context import RespondContext
from firewatch.respond.situation import Situation


async def restart(
    context: RespondContext, key: Key, situation: Situation, name: str, record: RestartRecord
) -> Situation:
    """Restart a target for an AutoResponse; return the situation as it then is.

    ``ConflictError`` if somebody else has changed the target.
    """
    entry, target = context.registry.get(key.namespace, name), situation.target
    if entry is None or target is None:
        raise RuntimeError(f"{key}: a restart was decided for nobody, or of nothing")
    is_new = entry.live.get("status", {}).get("restart") != dump_status(record)
    if is_new:
        await announce_restart(context, entry, record)
    context.registry.reserved.discard(key)  # it is counted by what stands in the status now
    try:
        await context.cluster.write(restart_write(target, key.namespace, record.at))
    except ConflictError:
        # Whoever has announced it before may have done it in this very moment; then it stands there.
        if is_new:
            await _withdraw(context, key, name)
        raise
    responders = tuple(
        replace(r, restart=record, holds_claim=True) if r.name == name else r
        for r in situation.responders
    )
    return replace(situation, responders=responders, target=target.restarted(record.at))


async def _withdraw(context: RespondContext, key: Key, name: str) -> None:
    """Take back what was announced, since nothing came of it: it would count as in doubt."""
    entry = context.registry.get(key.namespace, name)
    if entry is None:
        return
    status = {k: v for k, v in entry.live.get("status", {}).items() if k != "restart"}
    live = await write_status(context.cluster, AUTO_RESPONSE, entry.live, status, at_version=True)
    put_live(context, entry, live)
