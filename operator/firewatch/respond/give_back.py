"""Giving back all that is owed, when Firewatch goes: by the very passes that end an episode.

Every AutoResponse is taken for one that may not act any more, as if its namespace were not granted.
So its claims are withdrawn, and a pass over the target restores it, closes the ledger and lets go.
"""

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime

from pydantic import ValidationError

from firewatch.api.conditions import bad
from firewatch.api.resource import Key, Object
from firewatch.api.responses import AutoResponseSpec
from firewatch.cluster.errors import ClusterError, NotFoundError
from firewatch.cluster.events import post_event
from firewatch.cluster.kinds import AUTO_RESPONSE, target_kind
from firewatch.respond.context import RespondContext
from firewatch.respond.finalizer import has_finalizer
from firewatch.respond.onlooker import reconcile_onlooker
from firewatch.respond.registry import ONLOOKER, Entry, Registry
from firewatch.respond.report import describe_owed, read_ledger
from firewatch.respond.status import split_records
from firewatch.respond.target import reconcile_target

_PAUSE_SECONDS = 1.0
_RELEASED = bad(
    "Accepted",
    "Released",
    "`firewatch release` has stopped the operator; nothing is done until it runs again",
)


@dataclass(frozen=True)
class Owed:
    """An AutoResponse that could not let go."""

    live: Object
    why: str

    def __str__(self) -> str:
        """Return one line: who, what is owed to which target, and why."""
        metadata = self.live["metadata"]
        who = f"AutoResponse {metadata['namespace']}/{metadata['name']}"
        _, owed = split_records(self.live)
        if not owed:
            return f"{who} owes nothing and keeps its finalizer: {self.why}"
        return f"{who}: {self.target} is left {'; '.join(describe_owed(owed))}: {self.why}"

    @property
    def target(self) -> str:
        """Return kind and name of the target."""
        target = _target(self.live)
        return f"{target.get('kind')} {target.get('name')}"


def _target(live: Object) -> Object:
    """Return the target of the first of its records; empty if it has none."""
    _, owed = split_records(live)
    found: Object = next((each.get("target") or {} for each in owed.values()), {})
    return found


async def give_back(context: RespondContext, deadline: datetime) -> list[Owed]:
    """Restore all targets and remove all finalizers; return what could not be in time.

    The operator must not run meanwhile.
    """
    while True:
        problems = await _run_passes(replace(context, registry=Registry()))
        owed = [
            Owed(live, problems.get(live["metadata"]["uid"]) or _said(live))
            for live in await _read(context)
            if _owes(live)
        ]
        if not owed or context.clock() >= deadline:
            return owed
        await asyncio.sleep(_PAUSE_SECONDS)


async def _run_passes(context: RespondContext) -> dict[str, str]:
    """Run a pass over each target that something is owed to; return what went wrong, by uid."""
    problems: dict[str, str] = {}
    owing: dict[Key, list[str]] = {}
    for live in await _read(context):
        uid = live["metadata"]["uid"]
        try:
            spec = AutoResponseSpec.model_validate(live["spec"], extra="ignore")
        except ValidationError as error:
            problems[uid] = f"its spec cannot be read: {error.errors()[0]['msg']}"
            continue
        entry = Entry(live, spec, _RELEASED, None)
        context.registry.put(entry)
        if _owes(live):
            for key in entry.owes or {entry.target}:
                owing.setdefault(key, []).append(uid)
    for key, uids in owing.items():
        try:
            await _run_pass(context, key)
        except ClusterError as error:
            problems |= dict.fromkeys(uids, str(error))
            continue
        _, unreadable = read_ledger(key, context.registry.on_target(key))
        problems |= dict.fromkeys(uids, unreadable)
    return problems


def _owes(live: Object) -> bool:
    _, owed = split_records(live)
    return bool(owed) or has_finalizer(live)


async def _run_pass(context: RespondContext, key: Key) -> None:
    if key.kind == ONLOOKER:
        await reconcile_onlooker(context, key)
    else:
        await reconcile_target(context, key)


async def _read(context: RespondContext) -> list[Object]:
    try:
        return await context.cluster.list(AUTO_RESPONSE)
    except NotFoundError:  # the kind itself is gone, and with it every ledger
        return []


def _said(live: Object) -> str:
    return str(live.get("status", {}).get("message") or "no reason is known; try again")


async def tell_targets(context: RespondContext, owed: list[Owed]) -> None:
    """Leave an Event on each target that has not been given back."""
    for each in owed:
        target, namespace = _target(each.live), each.live["metadata"]["namespace"]
        if not target:
            continue
        kind = target_kind(context.settings, target["kind"])
        if kind is None:
            continue  # what its API version is nobody knows
        involved = {
            "apiVersion": kind.api_version,
            "kind": target["kind"],
            "metadata": {"namespace": namespace, "name": target["name"], "uid": target["uid"]},
        }
        try:
            await post_event(
                context.cluster,
                involved,
                reason="RestoreOwed",
                message=str(each),
                now=context.clock(),
                warning=True,
            )
        except ClusterError:
            continue  # a courtesy: the same is printed
