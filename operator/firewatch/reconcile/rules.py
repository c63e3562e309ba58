"""A pass over the rules of a stack: judge, write, confirm, report.

All policies of a stack are looked at together, so that a thousand changes cost a handful of passes.
A pass does not wait for its own confirmation if policies change meanwhile: the next one begins at
once, and earlier versions still prove what a server runs.
"""

import asyncio
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pydantic import ValidationError

from firewatch.api.alerts import AlertPolicyStatus
from firewatch.api.conditions import Finding, bad, unknown
from firewatch.api.resource import Key, Object
from firewatch.api.stack import MonitoringStackStatus, RulesStatus
from firewatch.build import names
from firewatch.build.bisection import Bisection, Phase
from firewatch.build.rules import RuleFile, digest
from firewatch.build.slots import SlotPlan, plan_slots
from firewatch.cluster.errors import absent_is_fine
from firewatch.cluster.kinds import ALERT_POLICY, MONITORING_STACK
from firewatch.cluster.prometheus import PrometheusError
from firewatch.cluster.status import write_status
from firewatch.reconcile.context import RULES, Context
from firewatch.reconcile.delivery import (
    Loaded,
    Proof,
    Versions,
    gather_proof,
    gather_slots,
    write_slots,
)
from firewatch.reconcile.findings import ACCEPTED, LOADED, read_status
from firewatch.reconcile.judge import Opinion, Opinions, judge_policies
from firewatch.reconcile.judging import Judged, is_culprit, is_trusted
from firewatch.reconcile.policies import Scene, fingerprint, gather_policies
from firewatch.reconcile.policy_report import Standing, findings, policy_status
from firewatch.reconcile.servers import Server, gather_servers
from firewatch.reconcile.stack import parse_stack
from firewatch.reconcile.verdicts import Verdicts

_POLL_SECONDS = 0.2
_PASS = timedelta(seconds=5)
"""How long a pass waits for the servers before it gives others a turn."""
_SLOW = timedelta(seconds=5)
"""After this long without confirmation the policies' statuses say so."""
_REFUSAL = timedelta(seconds=0.7)
"""A reload takes place at most a second after the files are there, seldom sooner."""
_PATIENCE = timedelta(seconds=8)
_NO_SERVER_SECONDS = 5.0
_HOPELESS_SECONDS = 60.0
_STATUSES_AT_A_TIME = 16
_STATUSES_PER_POLL = 128


@dataclass
class _Memory:
    """What is remembered about a stack between passes: hashes, and texts only while unconfirmed."""

    fingerprint: int | None = None
    changed: bool = False
    """Whether policies have changed since the last pass read them."""
    judged: dict[str, Judged] = field(default_factory=dict)
    versions: Versions = field(default_factory=Versions)
    written_at: datetime | None = None
    """When slots were last written that are not confirmed yet."""
    healthy: frozenset[str] = frozenset()
    """Servers whose last reload had succeeded before that."""
    sound: dict[str, str] = field(default_factory=dict)
    """Texts that ran before and have been replaced by unconfirmed ones."""
    search: Bisection | None = None
    reported: dict[str, tuple[str, object]] = field(default_factory=dict)
    """Resource version and outcome of each policy's last report, by uid."""


@dataclass
class _Work:
    """One pass in progress."""

    scene: Scene
    memory: _Memory
    opinions: Opinions
    culprits: frozenset[str]
    """Files that this pass has found to be refused."""
    plan: SlotPlan = field(default_factory=lambda: SlotPlan({}, frozenset()))
    faults: Mapping[int, Finding] = field(default_factory=dict)
    revisions: Mapping[int, str] = field(default_factory=dict)
    attempt: str = ""


class RulesReconciler:
    """Passes over the rules of stacks, and what they remember."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._cluster = context.cluster
        self._verdicts = Verdicts()
        self._memory: dict[Key, _Memory] = {}

    async def reconcile(self, key: Key) -> float | None:
        """Look at the rules of one stack; with an empty name, hand out a namespace's policies."""
        if not key.name:
            return await self._hand_out(key.namespace)
        memory = self._memory.setdefault(key, _Memory())
        memory.changed = False
        scene = await self._gather(key, memory)
        if scene is None:
            del self._memory[key]
            return math.inf
        if isinstance(scene, float):
            return None
        return await self._deliver(scene, memory)
