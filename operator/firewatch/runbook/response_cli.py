"""The commands ``firewatch response …`` and ``firewatch preflight``.

They are thin, since all that can be decided is elsewhere.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, TypeVar

import typer

from firewatch.api.resource import Object, parse_duration
from firewatch.cluster.client import Cluster, connect
from firewatch.cluster.errors import ClusterError, ForbiddenError, UnreachableError
from firewatch.cluster.kinds import AUTO_RESPONSE
from firewatch.metrics import Metrics
from firewatch.runbook import responses
from firewatch.runbook.checking import Check, Grade
from firewatch.runbook.kubeconfig import context_namespace, kubeconfig_path
from firewatch.runbook.preflight import examine
from firewatch.runbook.printing import ListFormat, print_rows

_FOUND, _USAGE, _UNREACHABLE, _DENIED = 1, 2, 3, 4
_T = TypeVar("_T")

RESPONSE = typer.Typer(
    no_args_is_help=True,
    help="Look at AutoResponses, and steer them by hand.",
)
Name = Annotated[str, typer.Argument(help="Name of the AutoResponse.")]
Namespace = Annotated[
    str, typer.Option("--namespace", "-n", help="Its namespace; that of the context if left out.")
]
RequestId = Annotated[str, typer.Option("--request", help="Only if this is the present request.")]
Output = Annotated[ListFormat, typer.Option("--output", "-o", help="Form of the list.")]


@RESPONSE.command("list")
def list_responses(
    namespace: Namespace = "",
    *,
    everywhere: Annotated[
        bool, typer.Option("--all-namespaces", "-A", help="Those of all namespaces.")
    ] = False,
    output: Output = ListFormat.TABLE,
) -> None:
    """Print the AutoResponses: what they are doing, and what they have changed."""
    where = "" if everywhere else _namespace(namespace)
    found = _run(lambda cluster: responses.list_responses(cluster, where))
    headings = ("NAMESPACE", "NAME", "MODE", "TARGET", "STATE", "REPLICAS", "MESSAGE")
    print_rows(headings, [asdict(line) for line in found], output)
    if not found:
        typer.echo(f"no AutoResponse in {where or 'any namespace'}", err=True)


@RESPONSE.command()
def show(name: Name, namespace: Namespace = "", output: Output = ListFormat.TABLE) -> None:
    """Print the timeline of an AutoResponse, the present last."""
    live = _run(lambda cluster: _get(cluster, namespace, name))
    headings = ("TIME", "EVENT", "ALERT", "REPLICAS", "MESSAGE")
    print_rows(headings, [asdict(step) for step in responses.timeline(live)], output)


def preflight(name: Name, namespace: Namespace = "", output: Output = ListFormat.TABLE) -> None:
    """Say what an AutoResponse would meet: what it would change, and who else writes that."""

    async def run(cluster: Cluster) -> list[Check]:
        return await examine(cluster, await _get(cluster, namespace, name))

    found = _run(run)
    print_rows(("ABOUT", "", "MESSAGE"), [asdict(each) for each in found], output)
    if any(each.grade is Grade.BAD for each in found):
        raise typer.Exit(_FOUND)


@RESPONSE.command()
def approve(name: Name, namespace: Namespace = "", request: RequestId = "") -> None:
    """Have done what an AutoResponse with mode approve asks for; takes the verb approve on it."""
    told = _run(_on(namespace, name, lambda c, live: responses.approve(c, live, request)))
    typer.echo(f"approved: {told}")


@RESPONSE.command()
def reject(name: Name, namespace: Namespace = "", request: RequestId = "") -> None:
    """Have nothing done until the alert fires anew; takes the verb approve on the AutoResponse."""
    told = _run(_on(namespace, name, lambda c, live: responses.reject(c, live, request)))
    typer.echo(f"rejected: {told}")


@RESPONSE.command()
def pause(
    name: Name,
    namespace: Namespace = "",
    duration: Annotated[
        str, typer.Option("--for", metavar="DURATION", help="As 2h; without it, until resumed.")
    ] = "",
) -> None:
    """Have nothing done and nothing undone."""
    seconds = _seconds(duration)
    now = datetime.now(UTC)
    until = _run(_on(namespace, name, lambda c, live: responses.pause(c, live, seconds, now)))
    typer.echo(f"paused until {until}")


@RESPONSE.command()
def resume(name: Name, namespace: Namespace = "") -> None:
    """End a pause."""
    _run(_on(namespace, name, responses.resume))
    typer.echo("resumed")


@RESPONSE.command()
def reset(namespace: Namespace = "") -> None:
    """Have the AutoResponses of a namespace act again after too many episodes have ended badly.

    Look after the reasons first; it takes the verb approve on them.
    """
    where = _namespace(namespace)
    count = _run(lambda cluster: responses.reset(cluster, where))
    typer.echo(f"reset: {count} AutoResponses in {where} act again")


@RESPONSE.command()
def undo(name: Name, namespace: Namespace = "") -> None:
    """Have put back at once what was changed; after its cooldown it may act again, so pause it."""
    told = _run(_on(namespace, name, responses.undo))
    typer.echo(f"{told}; `firewatch response pause {name}` keeps it from acting again")


def _on(
    namespace: str, name: str, act: Callable[[Cluster, Object], Awaitable[_T]]
) -> Callable[[Cluster], Awaitable[_T]]:
    async def run(cluster: Cluster) -> _T:
        return await act(cluster, await _get(cluster, namespace, name))

    return run


async def _get(cluster: Cluster, namespace: str, name: str) -> Object:
    return await cluster.get(AUTO_RESPONSE, _namespace(namespace), name)


def _namespace(given: str) -> str:
    return given or context_namespace(kubeconfig_path())


def _seconds(duration: str) -> float | None:
    if not duration:
        return None
    try:
        return parse_duration(duration)
    except ValueError as error:
        typer.echo(f"error: --for {duration}: {error}", err=True)
        raise typer.Exit(_USAGE) from None


def _run(act: Callable[[Cluster], Awaitable[_T]]) -> _T:
    """Act with the user's own credentials; say what is wrong in one line."""

    async def run() -> _T:
        async with connect(kubeconfig_path(), Metrics()) as cluster:
            return await act(cluster)

    try:
        return asyncio.run(run())
    except (ClusterError, responses.ActionError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(_status(error)) from None


def _status(error: Exception) -> int:
    if isinstance(error, UnreachableError):
        return _UNREACHABLE
    return _DENIED if isinstance(error, ForbiddenError) else _USAGE
