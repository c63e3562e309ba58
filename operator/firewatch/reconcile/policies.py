"""Which policies each stack has, and which it still runs for another."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from firewatch.api.conditions import Finding
from firewatch.api.resource import Key, Object
from firewatch.build.objects import Stack
from firewatch.cluster.client import Cluster
from firewatch.cluster.kinds import ALERT_POLICY, MONITORING_STACK
from firewatch.reconcile.delivery import LiveSlots
from firewatch.reconcile.routed import says_whom
from firewatch.reconcile.servers import Servers
from firewatch.reconcile.slim import Slimmer, pack_groups, unpack_groups
from firewatch.reconcile.takers import EVERY_NAMESPACE, Taker, parse_taker, resolve_taker


@dataclass
class Share:
    """A stack and its part of the policies."""

    taker: Taker
    policies: list[Object] = field(default_factory=list)
    leaving: list[Object] = field(default_factory=list)
    """Policies that it runs as they were until another stack runs them, or their choice of a stack
    can be followed.
    """
    held: dict[str, Taker] = field(default_factory=dict)
    """Stacks that still run policies of this one, by the policies' uids."""
    groups: dict[str, bytes] = field(default_factory=dict)
    """Rule groups, packed, by uid of the policy, as far as they were read."""
    slimmer: Slimmer = field(default_factory=Slimmer)
    """By which they were made as slim as they are."""

    def fingerprint(self) -> int:
        """Return a number that differs when the spec of the stack or of any policy does."""
        leaving = ((policy["metadata"]["uid"], "leaving") for policy in self.leaving)
        held = ((uid, taker.key) for uid, taker in self.held.items())
        forms = map(_form, (self.taker.live, *self.policies))
        return hash(frozenset((*forms, *leaving, *held)))


@dataclass(frozen=True)
class Homeless:
    """A policy without a stack."""

    policy: Object
    finding: Finding
    """Why."""
    runs_in: str | None
    """Title of the stack that goes on running what it has of it."""


@dataclass(frozen=True)
class Policies:
    """The policies that concern a namespace, and who has them."""

    takers: Sequence[Taker]
    """All stacks of the cluster."""
    shares: Mapping[Key, Share]
    """Of every stack that takes policies of the namespace."""
    homeless: Sequence[Homeless]
    """Policies of the namespace."""


@dataclass(frozen=True)
class Scene:
    """Everything that a pass over the rules of a stack has read."""

    live: Object
    """The MonitoringStack."""
    stack: Stack
    policies: dict[str, Object]
    """By uid, without their rule groups; replaced by newer forms as they are reported to."""
    servers: Servers
    slots: LiveSlots
    leaving: Sequence[Object] = ()
    """Policies that another stack is to run and does not run yet."""
    held: Mapping[str, Taker] = field(default_factory=dict)
    """Stacks that still run policies of this one, by uid."""
    groups: dict[str, bytes] = field(default_factory=dict)
    """Rule groups, packed, by uid of the policy, as far as they were read and not judged yet."""
    slimmer: Slimmer = field(default_factory=Slimmer)

    @property
    def elsewhere(self) -> str:
        """Return the address of the Prometheus, if others run it."""
        external = self.stack.spec.external.prometheus
        return external.url if external else ""

    def take_whole(self, uid: str) -> Object:
        """Return a policy with its rule groups, which are not kept after that."""
        return unpack_groups(self.policies[uid], self.groups.pop(uid))

    def renew(self, uid: str, policy: Object) -> None:
        """Take in a newer form of a policy."""
        self.policies[uid] = self.slimmer.slim(policy)


def _none(_stack: Key, _policy: Object) -> bool:
    return False


async def gather_policies(
    cluster: Cluster, namespace: str, needs_groups: Callable[[Key, Object], bool] = _none
) -> Policies:
    """Read the stacks, and the policies of the stacks that concern a namespace.

    Rule groups are two thirds of a policy; of ten thousand no more are held than ``needs_groups``
    asks for, given the key of the stack's rules and the policy. Policies that say whom alerts are
    told are whole, since others read them too.
    """
    groups: dict[str, bytes] = {}
    slimmer = Slimmer()

    def keep(policy: Object) -> Object:
        found, is_whole = resolve_taker(policy, takers), says_whom(policy)
        if is_whole or (isinstance(found, Taker) and needs_groups(found.key, policy)):
            groups[policy["metadata"]["uid"]] = pack_groups(policy)
        return slimmer.share(policy) if is_whole else slimmer.slim(policy)

    takers = [
        parse_taker(live)
        for live in await cluster.list(MONITORING_STACK)
        if "deletionTimestamp" not in live["metadata"]
    ]
    sources = {namespace}.union(*(_sources(each) for each in takers if each.reads(namespace)))
    found = share_out(await _read(cluster, sources, keep), takers, namespace)
    for share in found.shares.values():
        share.groups, share.slimmer = groups, slimmer
    return found


def share_out(policies: Iterable[Object], takers: Sequence[Taker], namespace: str) -> Policies:
    """Give every policy to the stacks that it belongs to, as far as a namespace is concerned."""
    shares = {taker.key: Share(taker) for taker in takers if taker.reads(namespace)}
    homeless: list[Homeless] = []
    for policy in policies:
        unplaced = _place(policy, takers, shares)
        if unplaced and policy["metadata"]["namespace"] == namespace:
            homeless.append(unplaced)
    return Policies(takers, shares, homeless)


def _sources(taker: Taker) -> set[str]:
    return {taker.key.namespace, *taker.others}


async def _read(
    cluster: Cluster, namespaces: Iterable[str], keep: Callable[[Object], Object]
) -> list[Object]:
    """Return the policies of some namespaces, without those that are being deleted."""
    wanted = sorted(namespaces)
    if EVERY_NAMESPACE in wanted:
        wanted = [""]
    found = [each for name in wanted for each in await cluster.list(ALERT_POLICY, name, keep=keep)]
    return [policy for policy in found if "deletionTimestamp" not in policy["metadata"]]


def _place(policy: Object, takers: Sequence[Taker], shares: Mapping[Key, Share]) -> Homeless | None:
    """Put a policy into the shares that it belongs to."""
    found, running = resolve_taker(policy, takers), _running(policy, takers)
    if running and running != found and running.key in shares:
        shares[running.key].leaving.append(policy)
    if isinstance(found, Finding):
        title = running.title(policy["metadata"]["namespace"]) if running else None
        return Homeless(policy, found, title)
    if found.key in shares:
        shares[found.key].policies.append(policy)
        if running and running != found:
            shares[found.key].held[policy["metadata"]["uid"]] = running
    return None


def _running(policy: Object, takers: Sequence[Taker]) -> Taker | None:
    """Return the stack that runs a policy according to its status, if it still may."""
    title, namespace = policy.get("status", {}).get("stack"), policy["metadata"]["namespace"]
    if not title:
        return None
    found = (taker for taker in takers if taker.title(namespace) == title)
    return next((taker for taker in found if taker.takes(policy)), None)


def _form(live: Object) -> tuple[str, int]:
    metadata = live["metadata"]
    return (metadata["uid"], metadata["generation"])
