"""Builds the Go programs that every cluster needs when they are first needed, and keeps them.

All of them come from one Go module (`go/`), so that they share packages and a build is short.
"""

import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from e2e.cluster.files import locked
from e2e.cluster.interface import ClusterError, Progress
from e2e.cluster.places import cache_root

MODULE = Path(__file__).parent / "go"
KUBERNETES = "v1.36.3"
PROMETHEUS = "3.13.2"
NODE_EXPORTER = "1.12.1"
HELM = "v3.22.0"
COREDNS = "1.15.0"

_PROMETHEUS_TAGS = "remove_all_sd,enable_kubernetes_sd,enable_dns_sd"
PROMETHEUS_VERSION = "github.com/prometheus/common/version.Version"
"""The linker variable that holds the version of a program of the Prometheus project."""


@dataclass(frozen=True)
class Binary:
    """One program: the package to build and how."""

    name: str
    package: str
    version: str
    variables: Sequence[tuple[str, str]] = ()
    """Linker variables, mostly the version that the program reports about itself."""
    tags: str = ""


def _kubernetes(name: str) -> Binary:
    major, minor, _ = KUBERNETES.removeprefix("v").split(".")
    variables = [
        (f"k8s.io/{package}.{variable}", value)
        for package in ("component-base/version", "client-go/pkg/version")
        for variable, value in (
            ("gitVersion", KUBERNETES),
            ("gitMajor", major),
            ("gitMinor", minor),
        )
    ]
    return Binary(name, f"k8s.io/kubernetes/cmd/{name}", KUBERNETES, tuple(variables))


def _prometheus(name: str, package: str, version: str) -> Binary:
    return Binary(name, package, version, ((PROMETHEUS_VERSION, version),), _PROMETHEUS_TAGS)


BINARIES = {
    binary.name: binary
    for binary in (
        _kubernetes("kube-apiserver"),
        _kubernetes("kube-controller-manager"),
        _kubernetes("kube-scheduler"),
        _kubernetes("kubelet"),
        _kubernetes("kube-proxy"),
        _kubernetes("kubectl"),
        Binary(
            "helm",
            "helm.sh/helm/v3/cmd/helm",
            HELM,
            (("helm.sh/helm/v3/internal/version.version", HELM),),
        ),
        Binary("coredns", "./coredns", COREDNS),
        Binary("pause", "./pause", "1"),
        _prometheus("prometheus", "github.com/prometheus/prometheus/cmd/prometheus", PROMETHEUS),
        _prometheus("promtool", "github.com/prometheus/prometheus/cmd/promtool", PROMETHEUS),
        _prometheus("node_exporter", "github.com/prometheus/node_exporter", NODE_EXPORTER),
    )
}


def binaries_folder() -> Path:
    """Return where the programs are, under their plain names.

    The folder's name depends on everything that decides what a build gives, so a program that
    is there is the right one.
    """
    digest = hashlib.sha256(repr(sorted(BINARIES.items())).encode())
    for source in sorted(MODULE.rglob("*")):
        if source.is_file():
            digest.update(source.relative_to(MODULE).as_posix().encode())
            digest.update(source.read_bytes())
    return cache_root() / "bin" / f"{KUBERNETES}-{digest.hexdigest()[:12]}"


def ensure(names: Iterable[str], progress: Progress) -> Path:
    """Build those of the named programs that are missing; return the folder that has them."""
    folder = binaries_folder()
    missing = [BINARIES[name] for name in names if not (folder / name).exists()]
    if not missing:
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    with progress.step(f"Building {len(missing)} Go programs") as step:

        def say_waiting() -> None:
            step.detail("another build is running; waiting for it")

        with locked(folder / ".lock", say_waiting):
            for number, binary in enumerate(missing, 1):
                if not (folder / binary.name).exists():
                    step.detail(f"{number}/{len(missing)} {binary.name} {binary.version}")
                    began = time.monotonic()
                    build(binary, folder, MODULE)
                    step.detail(f"{binary.name} took {time.monotonic() - began:.0f}s")
    return folder


def build_command(binary: Binary, output: Path) -> list[str]:
    """Return the command line that builds a program.

    A name that ends in `.test` is a package's tests as a program, as Go itself calls them.
    """
    # Not vetted: that alone would take as long as all the rest.
    verb = ["test", "-c", "-vet=off"] if binary.name.endswith(".test") else ["build"]
    flags = " ".join(["-s", "-w", *(f"-X {name}={value}" for name, value in binary.variables)])
    tags = ["-tags", binary.tags] if binary.tags else []
    return ["go", *verb, *tags, "-trimpath", "-ldflags", flags, "-o", str(output), binary.package]


def build(binary: Binary, folder: Path, module: Path) -> None:
    """Build a program in a module's tree and put it into a folder."""
    # Out of the way of a reader, and on the same file system, so that the rename is atomic.
    output = folder / f".{binary.name}.building"
    run_go(build_command(binary, output)[1:], module)
    output.replace(folder / binary.name)


def run_go(arguments: Sequence[str], folder: Path) -> str:
    """Run go in a folder; return what it prints. ``ClusterError`` says what it complains about."""
    if not shutil.which("go"):
        raise ClusterError(
            "The Go toolchain is needed to build the cluster (1.26 or newer), "
            "and there is no `go` on the PATH.",
        )
    result = subprocess.run(
        ["go", *arguments],
        cwd=folder,
        env=os.environ | {"CGO_ENABLED": "0", "GOWORK": "off", "GOFLAGS": "-mod=readonly"},
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        said = (result.stderr.strip() or result.stdout.strip())[-4000:]
        raise ClusterError(f"`go {' '.join(arguments)}` failed:\n{said}")
    return result.stdout
