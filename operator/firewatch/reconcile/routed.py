"""What a policy's status says about its routes, as the pass over the notifications has found it."""

from collections.abc import Iterable
from dataclasses import dataclass

from firewatch.api.alerting import LeftOut
from firewatch.api.alerts import AlertPolicyStatus
from firewatch.api.conditions import Finding, bad, good, unknown
from firewatch.api.resource import ConditionStatus, Object
from firewatch.reconcile.findings import ROUTED, read_status

_SHOWN = 20


@dataclass(frozen=True)
class Routed:
    """How the routes of one form of a policy stand."""

    generation: int
    finding: Finding
    left_out: tuple[LeftOut, ...] = ()


def says_whom(policy: Object) -> bool:
    """Tell whether a policy says whom alerts are told, or which mute others."""
    spec = policy.get("spec", {})
    return bool(spec.get("routes") or spec.get("inhibit"))


def judge_routes(policy: Object, left_out: Iterable[LeftOut], loaded: Finding) -> Routed:
    """Return how a policy's routes stand, given what is left out and what Alertmanager runs."""
    metadata = policy["metadata"]
    title = f"{metadata['namespace']}/{metadata['name']}"
    mine = tuple(each for each in left_out if each.policy == title)
    if mine:
        more = f" ({len(mine) - 1} more in status.leftOut)" if mine[1:] else ""
        message = f"{mine[0].path}: {mine[0].message}{more}"
        return Routed(metadata["generation"], bad(ROUTED, mine[0].reason, message), mine[:_SHOWN])
    if loaded.status is ConditionStatus.TRUE:
        finding = good(ROUTED, "Routed", "Alertmanager confirms that it runs these routes")
    else:
        message = "Alertmanager has not confirmed these routes yet; see its MonitoringStack"
        finding = unknown(ROUTED, "NotConfirmed", message)
    return Routed(metadata["generation"], finding)


def no_alertmanager(policy: Object, stack: str) -> Routed:
    """Return that a policy's routes lead nowhere."""
    message = f"MonitoringStack {stack} has no Alertmanager; give it spec.alerting"
    return Routed(policy["metadata"]["generation"], bad(ROUTED, "NoAlertmanager", message))


def routed_parts(policy: Object, routed: Routed | None) -> tuple[list[Finding], list[LeftOut]]:
    """Return the condition and the list of a policy's status.

    After a restart of the operator those in the status stand until that pass has looked.
    """
    if not says_whom(policy):
        return [], []
    generation = policy["metadata"]["generation"]
    if routed and routed.generation == generation:
        return [routed.finding], [*routed.left_out]
    status = read_status(AlertPolicyStatus, policy)
    before = [
        Finding(each.type, each.status, each.reason, each.message)
        for each in status.conditions
        if each.type == ROUTED and each.observed_generation == generation
    ]
    if before:
        return before, status.left_out
    return [unknown(ROUTED, "NotWritten", "the routes have not been written yet")], []
