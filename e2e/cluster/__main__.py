"""`python -m e2e.cluster`: the cluster's command line."""

import argparse
import json
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from e2e.cluster.backend import Backend, Cluster, ClusterError, Status, choose
from e2e.cluster.given import KUBECONFIG
from e2e.cluster.local import LocalBackend
from e2e.cluster.progress import ConsoleProgress

_OUT = Console(highlight=False)


def _up(_: argparse.Namespace) -> int:
    _explain(choose().up(ConsoleProgress()))
    return 0


def _down(_: argparse.Namespace) -> int:
    choose().down(ConsoleProgress())
    return 0


def _status(arguments: argparse.Namespace) -> int:
    status = choose().status()
    if arguments.json:
        print(json.dumps(asdict(status), default=str, indent=2))
    else:
        _show(status)
    return 0 if status.state == "up" else 1


def _kubeconfig(_: argparse.Namespace) -> int:
    status = choose().status()
    if status.kubeconfig is None:
        raise ClusterError("The cluster is down; bring it up with `python -m e2e.cluster up`.")
    print(status.kubeconfig)
    return 0


def _build(_: argparse.Namespace) -> int:
    print(_local(choose()).build(ConsoleProgress()))
    return 0


def _recycle(_: argparse.Namespace) -> int:
    for name in _local(choose()).recycle_volumes():
        print(name)
    return 0


def _load(arguments: argparse.Namespace) -> int:
    for name in choose().load_image(arguments.archive):
        print(name)
    return 0


_COMMANDS: Mapping[str, tuple[str, Callable[[argparse.Namespace], int]]] = {
    "up": ("bring the cluster up, or find it up", _up),
    "down": ("remove the cluster and all its data", _down),
    "status": ("say what runs; exit code 1 unless all of it does", _status),
    "kubeconfig": ("print where the kubeconfig is", _kubeconfig),
    "build": ("build and download what `up` needs, and start nothing", _build),
    "recycle": ("empty released volumes and offer them again", _recycle),
    "load": ("load an image archive into the node", _load),
}


def _local(backend: Backend) -> LocalBackend:
    if not isinstance(backend, LocalBackend):
        raise ClusterError(f"This is for the local cluster only; unset {KUBECONFIG}.")
    return backend


def _explain(cluster: Cluster) -> None:
    _OUT.print(f"\nKubernetes {cluster.version} is up ({cluster.backend} backend). To use it:\n")
    kubeconfig, tools = shlex.quote(str(cluster.kubeconfig)), shlex.quote(str(cluster.tools))
    # Not through rich, which would break long lines that people copy.
    print(f"  export KUBECONFIG={kubeconfig}")
    print(f"  export PATH={tools}:$PATH    # kubectl, helm, promtool")
    print("  kubectl get nodes\n")
    print(f"NodePorts answer at {cluster.node_address}.")
    if cluster.audit_log:
        print(f"Audit log: {cluster.audit_log}")


def _show(status: Status) -> None:
    _OUT.print(f"{status.backend} cluster: [bold]{status.state}[/], {status.detail}")
    if status.processes:
        table = Table("process", "pid", "state", box=None)
        for process in status.processes:
            state = "[green]running[/]" if process.running else "[red]ended[/]"
            table.add_row(process.name, str(process.pid), state)
        _OUT.print(table)
    if status.kubeconfig:
        print(f"export KUBECONFIG={shlex.quote(str(status.kubeconfig))}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m e2e.cluster", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    parsers = {name: commands.add_parser(name, help=text) for name, (text, _) in _COMMANDS.items()}
    parsers["status"].add_argument("--json", action="store_true", help="for scripts")
    parsers["load"].add_argument("archive", type=Path, help="an OCI or Docker archive")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; errors that a person can act on are shown without a traceback."""
    parsed = _parser().parse_args(arguments)
    try:
        return _COMMANDS[parsed.command][1](parsed)
    except ClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; repeat the command to go on", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
