"""``firewatch release``: what must be done before Firewatch is taken away.

Also the chart's pre-delete hook, as ``python -m firewatch.runbook.release``: the operator's image
has no packages for command lines, so nothing here needs them.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from firewatch.api.resource import Object
from firewatch.cluster.client import Cluster, Verb, Write, connect
from firewatch.cluster.errors import ClusterError, absent_is_fine
from firewatch.cluster.kinds import DEPLOYMENT, POD
from firewatch.metrics import Metrics
from firewatch.respond.context import RespondContext
from firewatch.respond.give_back import give_back, tell_targets
from firewatch.respond.registry import Registry, Sources
from firewatch.runbook.extra_kinds import OPERATOR, extra_settings, gather_settings
from firewatch.settings import EXTRA_KINDS, Settings

_PAUSE_SECONDS = 0.5


@dataclass(frozen=True)
class Release:
    """What is to be let go of."""

    namespace: str
    """Namespace of the operator."""
    deployment: str
    """Name of the operator's Deployment."""
    seconds: float
    """How long it may take."""


def now() -> datetime:
    """Return the present time in UTC."""
    return datetime.now(UTC)


async def release(
    cluster: Cluster, settings: Settings, wanted: Release, tell: Callable[[str], None]
) -> list[str]:
    """Stop the operator, give back all that is owed, and return what is left, a line each."""
    deadline = now() + timedelta(seconds=wanted.seconds)
    if running := await _stop_operator(cluster, wanted, deadline):
        return [f"{running}: nothing was given back, since it would act again"]
    tell(f"stopped: Deployment {wanted.namespace}/{wanted.deployment} has no pods")
    context = RespondContext(
        cluster, settings, Metrics(), now, lambda _: None, Registry(), Sources()
    )
    owed = await give_back(context, deadline)
    await tell_targets(context, owed)
    left = [str(each) for each in owed]
    if running := await _running(cluster, wanted):
        left.append(f"{running}: somebody has started it again, and it acts")
    if not left:
        tell("released: nothing is owed to any target, and no AutoResponse has a finalizer")
    return left


async def _stop_operator(cluster: Cluster, wanted: Release, deadline: datetime) -> str:
    """Scale the operator to 0 and wait until its pods are gone; return which is not."""
    body = {"spec": {"replicas": 0}}
    with absent_is_fine():
        await cluster.write(
            Write(Verb.MERGE, DEPLOYMENT, wanted.namespace, wanted.deployment, body, "scale")
        )
    while running := await _running(cluster, wanted):
        if now() >= deadline:
            return running
        await asyncio.sleep(_PAUSE_SECONDS)
    return ""


async def _running(cluster: Cluster, wanted: Release) -> str:
    pods = await cluster.list(POD, wanted.namespace, OPERATOR)
    names = sorted(pod["metadata"]["name"] for pod in pods if not _is_over(pod))
    return f"the operator runs in pod {', '.join(names)} of {wanted.namespace}" if names else ""


def _is_over(pod: Object) -> bool:
    return pod.get("status", {}).get("phase") in ("Succeeded", "Failed")


async def release_by(
    kubeconfig: str,
    wanted: Release,
    tell: Callable[[str], None],
    settings: Settings | None = None,
) -> list[str]:
    """Do the same with a kubeconfig or, if that is empty, as the pod's ServiceAccount.

    Without settings they are those of the installed operator.
    """
    try:
        async with connect(kubeconfig, Metrics()) as cluster:
            known = settings or await gather_settings(cluster, wanted.namespace)
            return await release(cluster, known, wanted, tell)
    except ClusterError as error:
        return [str(error)]


def main() -> int:
    """Run as the chart's hook."""
    parser = argparse.ArgumentParser(prog="firewatch.runbook.release", description=release.__doc__)
    parser.add_argument("--namespace", required=True)
    parser.add_argument("--deployment", required=True)
    parser.add_argument("--timeout", type=float, required=True, metavar="SECONDS")
    options = parser.parse_args()
    wanted = Release(options.namespace, options.deployment, options.timeout)
    settings = extra_settings(os.environ.get(EXTRA_KINDS, ""))
    kubeconfig = os.environ.get("KUBECONFIG", "")
    left = asyncio.run(release_by(kubeconfig, wanted, _print, settings))
    for line in left:
        print(f"left: {line}", file=sys.stderr)  # noqa: T201
    return 1 if left else 0


def _print(line: str) -> None:
    print(line, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
