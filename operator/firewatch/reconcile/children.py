"""Applying what a stack is made of: one object that fails does not stop the others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from firewatch.api.conditions import Finding, bad, unknown
from firewatch.api.resource import Object
from firewatch.build import names
from firewatch.build.overrides import component
from firewatch.build.scrape import revision_of
from firewatch.build.yaml_text import load_yaml
from firewatch.cluster.apply import apply, delete, is_ours
from firewatch.cluster.errors import (
    ClusterError,
    InvalidError,
    NotFoundError,
    UnreachableError,
    absent_is_fine,
)
from firewatch.cluster.find import find
from firewatch.cluster.kinds import (
    CONFIG_MAP,
    FOREIGN_CHILDREN,
    STACK_CHILDREN,
    STATEFUL_SET,
    Kind,
)
from firewatch.reconcile.context import Context
from firewatch.reconcile.findings import APPLIED, not_applied
from firewatch.reconcile.last_good import choose_configuration
from firewatch.reconcile.volumes import Refusals, claims_of, is_refused, keep_claims
from firewatch.reconcile.workloads import WORKLOAD_KINDS, LiveWorkload

_KINDS = {kind.kind: kind for kind in (*STACK_CHILDREN, *FOREIGN_CHILDREN)}
_IMMUTABLE = "updates to statefulset spec"


class NamespaceEndsError(Exception):
    """The namespace is being deleted: nothing can be made there any more."""


@dataclass
class Children:
    """What applying a stack's objects came to."""

    workloads: list[LiveWorkload] = field(default_factory=list)
    fault: Finding | None = None
    revision: str | None = None
    """Hash of the configuration that is now in the ConfigMap."""
    configuration: Object = field(default_factory=dict)
    """That configuration, read."""
    config_map: Object | None = None
    """The ConfigMap as it is now."""
    wanted: Object | None = None
    """The ConfigMap as the stack would have it, whether or not Prometheus takes it."""
    replacing: bool = False
    """Whether a workload is being made anew."""
    refused: dict[str, str] = field(default_factory=dict)
    """What the API server says of overrides that it does not take, by component."""

    def blame(self, finding: Finding) -> None:
        """Note what is wrong; the first fault is the one that is told."""
        self.fault = self.fault or finding


@dataclass(frozen=True)
class Present:
    """What is there already and has a say in what is applied."""

    claims: Sequence[Object] = ()
    refusals: Refusals = field(default_factory=dict)
    confirmed: str = ""
    """Hash of the configuration that Prometheus has confirmed last."""


async def observe_children(context: Context, objects: Sequence[Object]) -> Children:
    """Read every object as it is, without a change to any."""
    result = Children()
    result.blame(
        bad(APPLIED, "Paused", "nothing is written or deleted until spec.paused is taken back")
    )
    for desired in objects:
        kind, metadata = _KINDS[desired["kind"]], desired["metadata"]
        with absent_is_fine():
            live = await context.cluster.get(kind, metadata["namespace"], metadata["name"])
            _note(result, kind, desired, live)
    return result


async def apply_children(
    context: Context,
    objects: Sequence[Object],
    present: Present,
    *,
    plain: Mapping[str, Object],
) -> Children:
    """Apply every object in turn. ``NamespaceEndsError`` if nothing can be made any more.

    ``plain`` holds workloads that have an override, as they are without it, by component.
    """
    result = Children()
    for desired in objects:
        kind = _KINDS[desired["kind"]]
        try:
            try:
                live = await _apply_one(context, kind, desired, present)
            except InvalidError as error:
                name = component(desired) or ""
                if name not in plain:
                    raise
                result.refused[name] = str(error)
                live = await _apply_one(context, kind, plain[name], present)
        except UnreachableError:
            raise
        except ClusterError as error:
            if "being terminated" in str(error):
                raise NamespaceEndsError from error
            result.blame(_explain(kind, desired, error))
            continue
        _note(result, kind, desired, live)
    return result


def _explain(kind: Kind, desired: Object, error: ClusterError) -> Finding:
    name = desired["metadata"]["name"]
    if kind in FOREIGN_CHILDREN and isinstance(error, NotFoundError):
        why = f"{kind.kind} {name}: the cluster knows no {kind.group}; install its CRDs, or leave it out"
        return bad(APPLIED, "KindMissing", why)
    return not_applied(kind.kind, name, error)


def _note(result: Children, kind: Kind, desired: Object, live: Object | None) -> None:
    name = desired["metadata"]["name"]
    if live is None:
        result.replacing = True
        message = f"{kind.kind} {name} is being made anew around its running pods"
        result.blame(unknown(APPLIED, "Replacing", message))
    elif kind in WORKLOAD_KINDS:
        result.workloads.append(LiveWorkload(kind, live))
    elif kind is CONFIG_MAP and names.CONFIG_KEY in live["data"]:
        result.config_map, result.wanted = live, desired
        result.configuration = load_yaml(live["data"][names.CONFIG_KEY])
        result.revision = revision_of(result.configuration)


async def _apply_one(
    context: Context, kind: Kind, desired: Object, present: Present
) -> Object | None:
    """Apply one object; return it as it then is, or None if it has to go first."""
    if kind is STATEFUL_SET:
        return await _apply_stateful_set(context, desired, present)
    if kind is CONFIG_MAP and names.CONFIG_KEY in desired["data"]:
        live = await _read(context, kind, desired)
        chosen = choose_configuration(desired, live, confirmed=present.confirmed)
        return (await apply(context.cluster, kind, chosen, known=live)).live
    return (await apply(context.cluster, kind, desired)).live


async def _read(context: Context, kind: Kind, desired: Object) -> Object | None:
    metadata = desired["metadata"]
    return await find(context.cluster, kind, metadata["namespace"], metadata["name"])


async def _apply_stateful_set(context: Context, desired: Object, present: Present) -> Object | None:
    kind = STATEFUL_SET
    live = await _read(context, kind, desired)
    if live is not None and "deletionTimestamp" in live["metadata"]:
        return None
    volumes = claims_of(desired, present.claims)
    if live is not None and any(is_refused(each, present.refusals) for each in volumes):
        desired = keep_claims(desired, live)
    try:
        return (await apply(context.cluster, kind, desired, known=live)).live
    except InvalidError as error:
        if live is None or _IMMUTABLE not in str(error) or not is_ours(live):
            raise
        # The pods stay and are taken over by the new one, which then renews them one at a time.
        await delete(context.cluster, kind, live, orphan=True)
        return None
