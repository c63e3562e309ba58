"""What the passes over stacks and policies work with."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

import aiohttp

from firewatch.api.conditions import Finding
from firewatch.api.resource import Key, Object
from firewatch.api.visualization import DashboardLeftOut
from firewatch.cluster.absent import AbsentKinds
from firewatch.cluster.client import Cluster
from firewatch.metrics import Metrics
from firewatch.reconcile.batches import Batches
from firewatch.reconcile.routed import Routed
from firewatch.reconcile.servers import Nudges
from firewatch.settings import Settings

RULES = "Rules"
"""Kind of the keys for the rules of one stack or, with an empty name, of one namespace."""


NOTIFICATIONS = "Notifications"
"""Kind of the keys for the notifications of one stack."""


DASHBOARDS = "Dashboards"
"""Kind of the keys for the dashboards of one stack."""


@dataclass(frozen=True)
class ToldDashboards:
    """What the pass over a stack's dashboards has found about this form of it."""

    uid: str
    generation: int
    finding: Finding
    loaded: int
    """Dashboards that every Grafana pod has."""
    left_out: tuple[DashboardLeftOut, ...] = ()


@dataclass(frozen=True)
class Told:
    """What the pass over a stack's notifications has found about this form of it."""

    uid: str
    generation: int
    findings: tuple[Finding, ...]
    version: str = ""
    """Version that Alertmanager says it has; empty if it says none."""


@dataclass(frozen=True)
class Context:
    """Dependencies of the passes, and the little that they remember between passes.

    Nothing remembered proves anything: losing it costs a request or a second look.
    """

    cluster: Cluster
    session: aiohttp.ClientSession
    settings: Settings
    metrics: Metrics
    clock: Callable[[], datetime]
    """The present time in UTC."""
    wake: Callable[[Key], None]
    receiver_authority: Callable[[], str | None] = lambda: None
    """Returns by which certificates the receiver is known; None if it speaks plain HTTP."""
    absent: AbsentKinds = field(default_factory=AbsentKinds)
    """Kinds that are not installed."""
    nudges: Nudges = field(default_factory=Nudges)
    batches: Batches = field(default_factory=Batches)
    """Changes of policies that have not been handed out yet."""
    ready: dict[Key, frozenset[str]] = field(default_factory=dict)
    """Uids of the ready Prometheus pods that a stack had at its last pass."""
    checked: dict[Key, dict[str, datetime]] = field(default_factory=dict)
    """When it was last looked at how often a stack's checks succeed, by kind of check."""
    glimpsed: dict[Key, str] = field(default_factory=dict)
    """Configurations that servers have shown, and whose reload must be seen to have ended."""
    searching: set[Key] = field(default_factory=set)
    """Stacks in whose rules a culprit is looked for, by the key of the stack."""
    measured: dict[Key, datetime] = field(default_factory=dict)
    """When the sizes of a stack's metrics were last looked at."""
    routing: dict[Key, tuple[Object, ...]] = field(default_factory=dict)
    """Policies of stacks that say whom alerts are told, by the key of the notifications."""
    routed: dict[str, Routed] = field(default_factory=dict)
    """How the routes of policies stand, by uid."""
    dashboards: dict[Key, ToldDashboards] = field(default_factory=dict)
    """Findings about the dashboards of stacks, by the key of that pass."""
    told: dict[Key, Told] = field(default_factory=dict)
    """Findings about the notifications of stacks, by the key of that pass."""
