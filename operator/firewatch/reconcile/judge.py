"""Judging the policies of a stack, each once per version of its spec."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from firewatch.api.alerts import AlertPolicyStatus
from firewatch.api.resource import Object
from firewatch.api.stack import MonitoringStackStatus
from firewatch.build import names
from firewatch.build.detection import Pace, pace_of
from firewatch.build.rules import RuleFile, digest
from firewatch.cluster.prometheus import PrometheusError
from firewatch.reconcile.findings import read_status
from firewatch.reconcile.judging import Examined, Judged, examine, is_trusted
from firewatch.reconcile.policies import Scene
from firewatch.reconcile.verdicts import Verdicts

NEW_IN_A_PASS = 5000
"""Policies that are read with their groups, and judged before others have their turn."""
_LONGEST_SECONDS = 30.0
"""After so long the rest of them is left for the next pass."""
_AT_A_TIME = 100


@dataclass(frozen=True)
class Opinion:
    """What has been found about a policy."""

    judged: Judged | None
    """None while no server has judged its expressions."""
    file: RuleFile | None
    """Its rules, if any may run."""


Opinions = Mapping[str, Opinion]
"""By uid of the policy; policies that are left for the next pass are missing."""


async def judge_policies(
    scene: Scene, verdicts: Verdicts, memory: dict[str, Judged]
) -> Opinions | None:
    """Judge the policies of a stack; ``memory`` holds what was found before, by uid.

    None if what was found of some holds no more, and they must be read again with their groups.

    The rule groups of a thousand policies are ten megabytes as data, and as much again as models, so
    that they are unpacked some at a time and gone afterwards.
    """
    pace = _pace(scene)
    live_files = scene.slots.files()
    opinions: dict[str, Opinion] = {}
    new: list[str] = []
    lost: list[str] = []
    for uid, policy in scene.policies.items():
        known = _recall(policy, memory.get(uid), pace, live_files)
        if known:
            opinions[uid] = known
        elif uid not in scene.groups:
            lost += [uid] if uid in memory else []
        elif len(new) < NEW_IN_A_PASS:
            new.append(uid)
    if lost:
        for uid in lost:
            del memory[uid]
        return None
    end = time.monotonic() + _LONGEST_SECONDS
    for start in range(0, len(new), _AT_A_TIME):
        if time.monotonic() > end:
            break
        some = new[start : start + _AT_A_TIME]
        opinions |= await _judge_new(scene, verdicts, pace, some)
    scene.groups.clear()
    for uid in memory.keys() - scene.policies.keys():
        del memory[uid]
    memory.update({uid: o.judged for uid, o in opinions.items() if o.judged})
    return opinions


def _pace(scene: Scene) -> Pace:
    """Return the pace of the stack, with the retention that is in force."""
    retention = read_status(MonitoringStackStatus, scene.live).retention
    return pace_of(scene.stack.spec, retention.time if retention else "")


def _recall(
    policy: Object, judged: Judged | None, pace: Pace, files: Mapping[str, str]
) -> Opinion | None:
    """Return what is known about this very form of a policy, with its text from the live slot."""
    metadata = policy["metadata"]
    if judged is None or (judged.generation, judged.pace) != (metadata["generation"], pace):
        return None
    if not judged.digest:
        return Opinion(judged, None)
    namespace, name = metadata["namespace"], metadata["name"]
    file = names.policy_file(namespace, name)
    text = files.get(file)
    if text is None or digest(text) != judged.digest:
        return None
    return Opinion(judged, RuleFile(file, text, names.policy_slot(namespace, name)))


async def _judge_new(
    scene: Scene, verdicts: Verdicts, pace: Pace, uids: Sequence[str]
) -> dict[str, Opinion]:
    """Judge policies with the verdicts of their own status, else with those of a server."""
    opinions: dict[str, Opinion] = {}
    examined: dict[str, Examined] = {}
    for uid in uids:
        await asyncio.sleep(0)
        found = examine(scene.take_whole(uid), scene.stack.namespace, pace)
        if isinstance(found, Judged):
            opinions[uid] = Opinion(found, None)
        else:
            examined[uid] = found
    trusted = {uid for uid in examined if is_trusted(scene.policies[uid], scene.stack)}
    version = await _ask(scene, verdicts, [e for uid, e in examined.items() if uid not in trusted])
    for uid, found in examined.items():
        await asyncio.sleep(0)
        outcome = (
            found.recall(read_status(AlertPolicyStatus, scene.policies[uid]))
            if uid in trusted
            else found.judge(partial(verdicts.get, version))
        )
        opinions[uid] = _opinion(outcome)
    return opinions


def _opinion(outcome: tuple[Judged, RuleFile] | None) -> Opinion:
    if outcome is None:
        return Opinion(None, None)
    judged, file = outcome
    return Opinion(judged, file if judged.digest else None)


async def _ask(scene: Scene, verdicts: Verdicts, examined: list[Examined]) -> str:
    """Have a ready server judge the expressions; return its version, empty if none answers."""
    if not examined or not scene.servers.ready:
        return ""
    server = scene.servers.ready[0].api
    try:
        version = await server.version()
        await verdicts.ask(server, version, (q for x in examined for q in x.questions()))
    except PrometheusError:
        return ""
    return version
