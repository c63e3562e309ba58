"""The commands. Data goes to standard output, everything about it to standard error.

Exit status: 0 all is well, 1 something was found, 2 the call or a file is wrong.
"""

import asyncio
import json
import os
from base64 import b64decode
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from firewatch.api.resource import Object
from firewatch.build.surroundings import Surroundings
from firewatch.build.yaml_text import dump_yaml
from firewatch.runbook.advice import advise
from firewatch.runbook.dashboards_cli import DASHBOARDS
from firewatch.runbook.documents import Input, InputError, read_input
from firewatch.runbook.printing import ListFormat, print_rows
from firewatch.runbook.release import Release, release_by
from firewatch.runbook.render import render as render_documents
from firewatch.runbook.response_cli import RESPONSE, preflight

FOUND, USAGE = 1, 2
_RECEIVER = "firewatch-receiver.firewatch.svc:9095"
_IMAGE = "localhost/firewatch/operator:0.1.0"
_ALL_FILES = "config"
_ADVICE = ("FILE", "POLICY", "RULE", "CODE", "MESSAGE")

APP = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="The runbook's procedures by hand, with your own credentials.",
)


class ObjectFormat(StrEnum):
    """How objects are printed."""

    YAML = "yaml"
    JSON = "json"


APP.add_typer(RESPONSE, name="response")
APP.add_typer(DASHBOARDS, name="dashboards")
APP.command()(preflight)

Files = Annotated[
    list[str], typer.Argument(help="Files or folders with resources; - is standard input.")
]
Namespace = Annotated[
    str, typer.Option("--namespace", "-n", help="Namespace of resources that name none.")
]


@APP.callback()
def firewatch() -> None:
    """Keep the names of commands even while there is only one."""


@APP.command()
def render(
    files: Files,
    *,
    namespace: Namespace = "default",
    output: Annotated[ObjectFormat, typer.Option("--output", "-o", help="Form of the objects.")] = (
        ObjectFormat.YAML
    ),
    show: Annotated[
        str,
        typer.Option(
            help="objects; config for all configuration files as they are; or the name of one,"
            " as prometheus.yml."
        ),
    ] = "objects",
    receiver: Annotated[
        str, typer.Option(help="Address of the operator's alert receiver.")
    ] = _RECEIVER,
    image: Annotated[
        str, typer.Option(help="The operator's image, which has the runner of journeys too.")
    ] = _IMAGE,
    cluster_stack_namespace: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAMESPACE",
            help="A namespace whose stacks may read the cluster itself, as in the chart's value"
            " clusterStacks.namespaces; may be given again.",
        ),
    ] = None,
) -> None:
    """Print every object and configuration file that the operator would make, without a cluster.

    Expressions are checked by the stack's own Prometheus later, and cross-field rules by the API
    server (kubectl apply --dry-run=server); all else is as strict as there.
    """
    around = Surroundings(
        receiver=receiver,
        cluster_namespaces=tuple(cluster_stack_namespace or ()),
        image=image,
    )
    rendered = render_documents(_read(files, namespace), around)
    if show == "objects":
        _print_objects(rendered.objects, output)
    else:
        _print_files(rendered.objects, show)
    for line in rendered.left_out:
        typer.echo(f"left out: {line}", err=True)
    for line in rendered.unseen:
        typer.echo(f"not shown: {line}", err=True)
    if rendered.left_out:
        raise typer.Exit(FOUND)


@APP.command()
def lint(
    files: Files,
    namespace: Namespace = "default",
    output: Annotated[ListFormat, typer.Option("--output", "-o", help="Form of the list.")] = (
        ListFormat.TABLE
    ),
) -> None:
    """Print advice on alert rules and names of metrics; none of it keeps a rule from running."""
    found = [*advise(_read(files, namespace).documents)]
    print_rows(_ADVICE, [asdict(each) for each in found], output)
    if found:
        raise typer.Exit(FOUND)


@APP.command("release")
def let_go(
    namespace: Annotated[
        str, typer.Option("--namespace", "-n", help="Namespace of the operator.")
    ] = "firewatch",
    deployment: Annotated[str, typer.Option(help="The operator's Deployment.")] = "firewatch",
    timeout: Annotated[float, typer.Option(min=1, help="Seconds that it may take.")] = 120,
) -> None:
    """Stop the operator and give back all that AutoResponses have changed, before an uninstall.

    What cannot be given back is named, and the operator stays stopped.
    """
    kubeconfig = os.environ.get("KUBECONFIG") or str(Path.home() / ".kube" / "config")
    wanted = Release(namespace, deployment, timeout)
    left = asyncio.run(release_by(kubeconfig, wanted, typer.echo))
    for line in left:
        typer.echo(f"left: {line}", err=True)
    if left:
        raise typer.Exit(FOUND)


def _read(files: Sequence[str], namespace: str) -> Input:
    try:
        found = read_input(files, namespace=namespace)
    except InputError as error:
        _refuse(*error.problems)
    if not found.documents:
        _refuse("no resource of Firewatch is in these files")
    return found


def _refuse(*problems: str) -> NoReturn:
    for problem in problems:
        typer.echo(f"error: {problem}", err=True)
    raise typer.Exit(USAGE)


def _print_objects(objects: Sequence[Object], output: ObjectFormat) -> None:
    if output is ObjectFormat.JSON:
        typer.echo(json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}, indent=2))
    else:
        typer.echo("---\n".join(map(dump_yaml, objects)), nl=False)


def _print_files(objects: Sequence[Object], wanted: str) -> None:
    """Print the texts of ConfigMaps and Secrets; one alone is printed as it is."""
    found = [
        (f"{item['metadata']['namespace']}/{item['metadata']['name']}: {name}", text)
        for item in objects
        for name, text in _texts(item)
        if wanted in (_ALL_FILES, name)
    ]
    if not found:
        _refuse(
            f"--show {wanted}: there is no such file; --show config prints all with their names"
        )
    for title, text in found:
        if len(found) > 1 or wanted == _ALL_FILES:
            typer.echo(f"# {title}")
        typer.echo(text if text.endswith("\n") else f"{text}\n", nl=False)


def _texts(item: Object) -> Iterator[tuple[str, str]]:
    """Yield the files in an object; in Secrets they stand encoded."""
    for name, text in item.get("data", {}).items():
        yield name, b64decode(text).decode() if item["kind"] == "Secret" else text
