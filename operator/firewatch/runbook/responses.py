"""What people do to AutoResponses by hand, with their own credentials: look, approve, pause, undo.

All of it is annotations that the operator reads, so that the API server's rights and audit log hold.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from firewatch.api.circuit import BreakerRecord
from firewatch.api.conditions import format_time
from firewatch.api.notices import DeliveryState
from firewatch.api.resource import Object
from firewatch.api.responses import APPROVED, PAUSED_UNTIL, REJECTED, RESET, UNDO, State
from firewatch.cluster.client import Cluster, Verb, Write
from firewatch.cluster.kinds import AUTO_RESPONSE
from firewatch.runbook.breakers import describe


class ActionError(Exception):
    """What was asked for makes no sense now; ``str()`` says why and what to do."""


@dataclass(frozen=True)
class Line:
    """One AutoResponse in a list."""

    namespace: str
    name: str
    mode: str
    target: str
    state: str
    replicas: str
    message: str


@dataclass(frozen=True)
class Step:
    """One thing in the history of an AutoResponse."""

    time: str
    event: str
    alert: str
    replicas: str
    message: str


async def list_responses(cluster: Cluster, namespace: str) -> list[Line]:
    """Return the AutoResponses of a namespace, or of all if it is empty."""
    found = await cluster.list(AUTO_RESPONSE, namespace)
    return sorted(map(_line, found), key=lambda line: (line.namespace, line.name))


def _line(live: Object) -> Line:
    metadata, spec, status = live["metadata"], live["spec"], live.get("status", {})
    target = spec.get("target")
    ledger = status.get("ledger") or {}
    return Line(
        namespace=metadata["namespace"],
        name=metadata["name"],
        mode=spec.get("mode", "observe"),
        target=f"{target.get('kind', 'Deployment')}/{target['name']}" if target else "",
        state=status.get("state", ""),
        replicas=_change(ledger.get("baseline"), ledger.get("written")),
        message=status.get("message", ""),
    )


def _change(before: int | None, after: int | None) -> str:
    if before is None and after is None:
        return ""
    return f"{'' if before is None else before} → {'' if after is None else after}".strip()


def timeline(live: Object) -> list[Step]:
    """Return what has happened, oldest first, and how it stands at the end."""
    return [*_steps(live)]


def _steps(live: Object) -> Iterator[Step]:
    status = live.get("status", {})
    done = [_step(entry) for entry in reversed(status.get("history", []))]
    yield from sorted([*done, *_tellings(status)], key=lambda step: step.time)
    ledger = status.get("ledger") or {}
    yield Step(
        time="now",
        event=status.get("state", "") or "not looked at yet",
        alert="",
        replicas=_change(ledger.get("baseline"), ledger.get("written")),
        message=status.get("message", ""),
    )
    if breaker := status.get("breaker"):
        record = BreakerRecord.model_validate(breaker, extra="ignore")
        for line in describe(record):
            yield Step(time="", event="", alert="", replicas="", message=line)


def _step(entry: Object) -> Step:
    return Step(
        time=entry["time"],
        event=entry["event"],
        alert=entry.get("alert", ""),
        replicas=_change(entry.get("replicasFrom"), entry.get("replicasTo")),
        message=entry.get("message", ""),
    )


def _tellings(status: Object) -> Iterator[Step]:
    """Yield the last message of each action that tells people."""
    for row in (status.get("notices") or {}).get("deliveries", ()):
        if row.get("at"):
            yield Step(
                time=row["at"],
                event="WouldNotify" if row["state"] == DeliveryState.WOULD_SEND else "Notified",
                alert=row.get("alert", ""),
                replicas="",
                message=f"{row['to']}: {row.get('moment', '')}",
            )


async def approve(cluster: Cluster, live: Object, request: str = "") -> str:
    """Approve what an AutoResponse asks for; return what that is."""
    return await _answer(cluster, live, APPROVED, request)


async def reject(cluster: Cluster, live: Object, request: str = "") -> str:
    """Reject what an AutoResponse asks for; return what that is."""
    return await _answer(cluster, live, REJECTED, request)


async def _answer(cluster: Cluster, live: Object, annotation: str, wanted: str) -> str:
    status, name = live.get("status", {}), live["metadata"]["name"]
    waiting = status.get("request") if status.get("state") == State.WAITING else None
    if waiting is None:
        raise ActionError(
            f"{name} asks for nothing: {status.get('message', 'it has no status yet')}"
        )
    if wanted and wanted != waiting["id"]:
        raise ActionError(
            f"request {wanted} is not the present one: {waiting['id']} is, {waiting['message']};"
            " look at it and call again"
        )
    await _annotate(cluster, live, {annotation: waiting["id"]})
    return str(waiting["message"])


async def pause(cluster: Cluster, live: Object, seconds: float | None, now: datetime) -> str:
    """Have nothing done and nothing undone for so long, or until resumed; return until when."""
    until = "true" if seconds is None else format_time(now + timedelta(seconds=seconds))
    await _annotate(cluster, live, {PAUSED_UNTIL: until})
    return "it is resumed" if seconds is None else until


async def resume(cluster: Cluster, live: Object) -> None:
    """End a pause."""
    if PAUSED_UNTIL not in (live["metadata"].get("annotations") or {}):
        raise ActionError(f"{live['metadata']['name']} is not paused")
    await _annotate(cluster, live, {PAUSED_UNTIL: None})


async def reset(cluster: Cluster, namespace: str) -> int:
    """Have AutoResponses of a namespace act again after too many have ended badly; return how many."""
    found = await cluster.list(AUTO_RESPONSE, namespace)
    open_ = [each for each in found if each.get("status", {}).get("tripped")]
    if not open_:
        raise ActionError(f"nothing is to be reset in namespace {namespace}")
    for live in open_:
        await _annotate(cluster, live, {RESET: live["status"]["tripped"]["at"]})
    return len(open_)


async def undo(cluster: Cluster, live: Object) -> str:
    """Have the operator put back at once what it has changed for an AutoResponse."""
    metadata, status = live["metadata"], live.get("status", {})
    if breaker := status.get("breaker"):
        await _annotate(cluster, live, {UNDO: breaker["circuit"]["openedAt"]})
        return f"the circuit breaker is taken back ({breaker['does']})"
    ledger = status.get("ledger") or {}
    claims = ledger.get("claims") or []
    mine = next((claim for claim in claims if claim["uid"] == metadata["uid"]), None)
    if mine is None:
        raise ActionError(
            f"{metadata['name']} has changed nothing at present, or an older AutoResponse on the same"
            " target keeps the record of it: undo that one"
        )
    await _annotate(cluster, live, {UNDO: mine["since"]})
    return f"{ledger['target']['name']} goes back to {ledger['baseline']}"


async def _annotate(cluster: Cluster, live: Object, annotations: Object) -> None:
    metadata = live["metadata"]
    body = {"metadata": {"uid": metadata["uid"], "annotations": annotations}}
    await cluster.write(
        Write(Verb.MERGE, AUTO_RESPONSE, metadata["namespace"], metadata["name"], body)
    )
