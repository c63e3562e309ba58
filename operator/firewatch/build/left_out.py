"""What a stack asks for and does not get, and why; everything else of it is built."""

from dataclasses import dataclass

from firewatch.build.cluster_scope import blocks_without_cluster_scope
from firewatch.build.objects import Stack
from firewatch.build.overrides import override_all
from firewatch.build.probes import find_unfit_targets
from firewatch.build.stack import build_plain
from firewatch.build.surroundings import Surroundings
from firewatch.build.usable import find_unusable


@dataclass(frozen=True)
class LeftOut:
    """Something that is left out, as the stack's condition Accepted says it."""

    reason: str
    message: str


def find_left_out(stack: Stack, surroundings: Surroundings) -> list[LeftOut]:
    """Return what is left out of a stack, the reason for most of it first."""
    found = []
    if blocks := blocks_without_cluster_scope(stack, surroundings):
        found.append(
            LeftOut(
                "ClusterScopeNotGranted",
                f"{' and '.join(blocks)} left out: {'they need' if blocks[1:] else 'it needs'} to"
                f" read the whole cluster; add {stack.namespace} to clusterStacks.namespaces of the"
                " chart",
            )
        )
    if unfit := find_unfit_targets(stack.spec):
        more = f" (and {len(unfit) - 1} more)" if unfit[1:] else ""
        found.append(LeftOut("ProbeLeftOut", f"synthetic.probes: {unfit[0]}{more}"))
    found += [LeftOut(*fault) for fault in find_unusable(stack, surroundings)]
    if stack.spec.overrides:
        refused = override_all(stack.spec.overrides, build_plain(stack, surroundings)).refused
        found += [refused_override(name, refused[name]) for name in sorted(refused)]
    return found


def refused_override(component: str, why: str) -> LeftOut:
    """Return an override that is left out."""
    return LeftOut("OverrideRefused", f"overrides: {component} is left out: {why}")
