"""What AlertPolicies add to a stack's notifications; it never takes away from the stack's own."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from firewatch.api.alerting import LeftOut
from firewatch.api.alerts import AlertPolicySpec
from firewatch.api.resource import Object
from firewatch.build.escalations import LABEL, escalation_id
from firewatch.build.matchers import Matcher, render_matchers
from firewatch.build.notifying import Credentials, Owner, SettingError, Sources
from firewatch.build.receivers import render_receiver
from firewatch.build.routing import NOBODY, Known, Routing, render_intervals
from firewatch.build.yaml_text import dump_yaml


@dataclass(frozen=True)
class RoutingPolicy:
    """An AlertPolicy that says whom its alerts are told."""

    namespace: str
    name: str
    spec: AlertPolicySpec

    @property
    def title(self) -> str:
        """Return namespace and name."""
        return f"{self.namespace}/{self.name}"


@dataclass
class Addition:
    """What one policy adds."""

    policy: str
    credentials: Credentials
    receivers: list[Object] = field(default_factory=list)
    intervals: list[Object] = field(default_factory=list)
    escalations: list[Object] = field(default_factory=list)
    """Routes of escalations, which stand in front of all others."""
    routes: list[Object] = field(default_factory=list)
    inhibitions: list[Object] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Return how many bytes it takes, about."""
        parts = (self.receivers, self.intervals, self.escalations, self.routes, self.inhibitions)
        # Nested lists are indented more deeply where they will stand.
        return 2 * len(dump_yaml(parts)) + sum(map(len, self.credentials.files.values()))


def render_addition(
    policy: RoutingPolicy,
    stack_namespace: str,
    shared: Known,
    *,
    sources: Sources,
    smtp_fault: str | None,
) -> Addition:
    """Return what a policy adds; ``shared`` is what those of the stack's own namespace may use."""
    foreign = policy.namespace != stack_namespace
    owner = Owner(policy.namespace, policy.title, foreign)
    found = Addition(policy.title, Credentials(sources))
    known = _known(policy.spec, owner, found, sources=sources, smtp_fault=smtp_fault)
    if not foreign:
        known = Known(
            {**shared.receivers, **known.receivers}, {**shared.intervals, **known.intervals}
        )
    routing = Routing(owner, known)
    # The alerts of a foreign policy all have its namespace; those of the others are as written.
    forced = [Matcher("namespace", "=", policy.namespace)] if foreign else []
    found.routes = _routes(routing.routes(policy.spec.routes, "spec.routes", forced=forced), forced)
    found.escalations = list(_escalations(policy, routing, forced))
    found.inhibitions = list(_inhibitions(policy, routing, forced))
    found.left_out += routing.left_out
    return found


def _known(
    spec: AlertPolicySpec,
    owner: Owner,
    found: Addition,
    *,
    sources: Sources,
    smtp_fault: str | None,
) -> Known:
    """Render the receivers and intervals of a policy; return their names."""
    receivers = {}
    for index, receiver in enumerate(spec.receivers):
        rendered = render_receiver(
            receiver, owner, f"spec.receivers[{index}]", sources=sources, smtp_fault=smtp_fault
        )
        found.left_out += rendered.left_out
        found.credentials.take(rendered.credentials)
        found.receivers.append(rendered.config)
        receivers[receiver.name] = owner.qualified(receiver.name) if rendered.works else ""
    intervals, known, left_out = render_intervals(
        spec.time_intervals, owner, "spec.timeIntervals", zones=sources.zones
    )
    found.intervals += intervals
    found.left_out += left_out
    return Known(receivers, known)


def _routes(routes: Sequence[Object], forced: Sequence[Matcher]) -> list[Object]:
    """Return a policy's routes so that the first that matches is taken, and others' stay in force.

    What none of them takes is told to nobody here, since the stack's own routes take it anyway.
    """
    named = [{"receiver": NOBODY, **route} for route in routes]
    if len(named) < 2:  # noqa: PLR2004
        return [{**route, "continue": True} for route in named]
    matchers = {"matchers": render_matchers(forced)} if forced else {}
    return [{**matchers, "receiver": NOBODY, "continue": True, "routes": named}]


def _escalations(
    policy: RoutingPolicy, routing: Routing, forced: Sequence[Matcher]
) -> Iterator[Object]:
    for index, route in enumerate(policy.spec.routes):
        for level, escalation in enumerate(route.escalate):
            path = f"spec.routes[{index}].escalate[{level}]"
            receiver = routing.receiver(escalation.receiver, path)
            if receiver:
                identity = Matcher(LABEL, "=", escalation_id(policy.title, index, level))
                yield {"matchers": render_matchers([*forced, identity]), "receiver": receiver}


def _inhibitions(
    policy: RoutingPolicy, routing: Routing, forced: Sequence[Matcher]
) -> Iterator[Object]:
    for index, inhibition in enumerate(policy.spec.inhibit):
        try:
            yield {
                "source_matchers": render_matchers([*forced, *routing.matchers(inhibition.source)]),
                "target_matchers": render_matchers([*forced, *routing.matchers(inhibition.target)]),
                "equal": routing.labels(inhibition.equal),
            }
        except SettingError as error:
            routing.left_out.append(routing.owner.left_out(f"spec.inhibit[{index}]", error))
