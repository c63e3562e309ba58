"""Finds a Go program of the test bed by its name, and builds it when it is first needed.

What every cluster needs comes from one Go module (`binaries`). Everything else is a released
module of its own, built in a copy of its own tree, so that it has the library versions that its
authors chose, and that adding one leaves all others as they are.
"""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

from e2e.cluster import binaries
from e2e.cluster.binaries import Binary
from e2e.cluster.files import locked
from e2e.cluster.interface import ClusterError, Progress, Step
from e2e.cluster.places import cache_root

ALERTMANAGER = "0.34.2"
BLACKBOX_EXPORTER = "0.28.0"
KUBE_STATE_METRICS = "2.18.0"
PUSHGATEWAY = "1.11.1"
POSTGRES_EXPORTER = "0.19.1"
ARGOCD = "3.2.12"
"""The last whose module has all that it is built of; those from 3.3 on lack a folder of theirs."""
HELM4 = "v4.3.1"
KIND = "0.32.0"
PROMETHEUS_OPERATOR = "0.93.0"
PROMETHEUS_ADAPTER = "0.12.0"
KEDA = "2.21.0"
JSONNET = "v0.22.0"
DASHBOARD_LINTER = "0.2.0"

_PROMETHEUS_OPERATOR = "github.com/prometheus-operator/prometheus-operator"


_KEDA_VERSION = "github.com/kedacore/keda/v2/version.Version"

_READ_WHEN_RUN = """package resource_customizations

import (
	"io/fs"
	"os"
)

// Embedded is not embedded here: the scripts are read when the tests run.
var Embedded = os.DirFS("../../resource_customizations").(fs.ReadFileFS)
"""


_ONLY_CLASSIC = """package lint

import (
	"encoding/json"
	"errors"
)

// Dashboards of the second schema are not linted here: the module that describes them is not published.
func isV2APIVersion(string) bool { return false }

func newDashboardFromV2(json.RawMessage, string) (Dashboard, error) {
	return Dashboard{}, errors.New("not built here")
}
"""


@dataclass(frozen=True)
class Published:
    """A module that a release takes from its own repository and that is published as well.

    It has the release's version; the checksums are of its files and of its go.mod.
    """

    module: str
    checksum: str
    go_mod: str


@dataclass(frozen=True)
class Release:
    """A released Go module with the programs that are taken from it."""

    module: str
    version: str
    checksum: str
    """Of the module's files, as in a go.sum; its own go.sum pins all that it is built of."""
    programs: Sequence[Binary]
    placeholders: Sequence[tuple[str, str]] = ()
    """Path and text of files that the module lacks, or that are others here."""
    published: Sequence[Published] = ()
    dropped: Sequence[str] = ()
    """Modules that are not to be had, and that nothing needs which is built here."""

    @property
    def folder(self) -> Path:
        """Where the built programs are; the name depends on all that decides what they are."""
        # Without what a release has not, so that what was built before that could be said is found.
        said = astuple(self) if self.dropped else astuple(self)[:-1]
        digest = hashlib.sha256(repr(said).encode()).hexdigest()[:12]
        return cache_root() / "bin" / f"{self.programs[0].name}-{self.version}-{digest}"


def _prometheus(name: str, package: str, version: str) -> Binary:
    return Binary(name, package, version, ((binaries.PROMETHEUS_VERSION, version),))


RELEASES = (
    Release(
        "github.com/prometheus/alertmanager",
        f"v{ALERTMANAGER}",
        "h1:4oOnHs4J41X9n+7MucFjA3I5i5MtasjWTnIY27q5Qkw=",
        [
            _prometheus("alertmanager", "./cmd/alertmanager", ALERTMANAGER),
            _prometheus("amtool", "./cmd/amtool", ALERTMANAGER),
        ],
        placeholders=[("ui/app/dist/index.html", "The pages are not built here.\n")],
    ),
    Release(
        "github.com/prometheus/blackbox_exporter",
        f"v{BLACKBOX_EXPORTER}",
        "h1:5n59xN6d4OtnwANA9nQIoBhwfG90b50cMByshvc/+zA=",
        [_prometheus("blackbox_exporter", ".", BLACKBOX_EXPORTER)],
    ),
    Release(
        "k8s.io/kube-state-metrics/v2",
        f"v{KUBE_STATE_METRICS}",
        "h1:3T0ydK17wNf+uYyxaTMg0vM0lyqWMAv8xDqZjheMdxk=",
        [_prometheus("kube-state-metrics", ".", KUBE_STATE_METRICS)],
    ),
    Release(
        "github.com/prometheus/pushgateway",
        f"v{PUSHGATEWAY}",
        "h1:KKVSd7IP03oWdTrsiLjWzyO8Lvtu/Ie35dJYBEp19iA=",
        [_prometheus("pushgateway", ".", PUSHGATEWAY)],
    ),
    Release(
        "github.com/prometheus-community/postgres_exporter",
        f"v{POSTGRES_EXPORTER}",
        "h1:5qEW78eJYYImZukEEw2iy//tNlTmhmt3mMc+AVGR6LU=",
        [_prometheus("postgres_exporter", "./cmd/postgres_exporter", POSTGRES_EXPORTER)],
    ),
    Release(
        "helm.sh/helm/v4",
        HELM4,
        "h1:UndCoLe9UPmNoL7IvWzaUXveL7T5t/ijoorEmgJdI9g=",
        [
            Binary(
                "helm4",
                "./cmd/helm",
                HELM4,
                (("helm.sh/helm/v4/internal/version.version", HELM4),),
            ),
        ],
    ),
    Release(
        "github.com/argoproj/argo-cd/v3",
        f"v{ARGOCD}",
        "h1:XbOyqcoPIjMhiP+y05Zi2U+HfG3b2TNfGJgVuK5Y8g0=",
        [Binary("argocd-lua.test", "./util/lua", ARGOCD)],
        placeholders=[("resource_customizations/embed.go", _READ_WHEN_RUN)],
    ),
    Release(
        "github.com/kedacore/keda/v2",
        f"v{KEDA}",
        "h1:R6z2HZvstK4RLUMxroNACzBj74xGxt3kG59b5Xc+Xps=",
        [
            Binary("keda", "./cmd/operator", KEDA, ((_KEDA_VERSION, KEDA),)),
            Binary("keda-adapter", "./cmd/adapter", KEDA, ((_KEDA_VERSION, KEDA),)),
        ],
    ),
    Release(
        "sigs.k8s.io/prometheus-adapter",
        f"v{PROMETHEUS_ADAPTER}",
        "h1:e29A6BIwA/NKxPZeuamBMHJsvz0sSUXTb92Obg7RMV4=",
        [Binary("prometheus-adapter", "./cmd/adapter", PROMETHEUS_ADAPTER)],
    ),
    Release(
        "sigs.k8s.io/kind",
        f"v{KIND}",
        "h1:p9hscbj98u/qyrjVpjId86LI70nQmbSsipV7wCG10Xk=",
        [Binary("kind", ".", KIND)],
    ),
    Release(
        "github.com/google/go-jsonnet",
        JSONNET,
        "h1:o0bOAIE+9SIfRZ7FXQPuta0mHLLE0AwbY/L5GTH5CH8=",
        [Binary("jsonnet", "./cmd/jsonnet", JSONNET)],
    ),
    Release(
        "github.com/grafana/dashboard-linter",
        f"v{DASHBOARD_LINTER}",
        "h1:VV2GAwqCgY1VavwYD+Cw/tAeVXgFJxSIZnkEwgGUzJU=",
        [Binary("dashboard-linter", ".", DASHBOARD_LINTER)],
        placeholders=[("lint/v2.go", _ONLY_CLASSIC)],
        dropped=["github.com/grafana/grafana/apps/dashboard"],
    ),
    Release(
        _PROMETHEUS_OPERATOR,
        f"v{PROMETHEUS_OPERATOR}",
        "h1:AohlYJT+En8TmNpAcEUJ3GsaJTAqfEBwHmGTVpRm/Io=",
        [
            _prometheus("prometheus-operator", "./cmd/operator", PROMETHEUS_OPERATOR),
            _prometheus(
                "prometheus-config-reloader",
                "./cmd/prometheus-config-reloader",
                PROMETHEUS_OPERATOR,
            ),
        ],
        published=[
            Published(
                f"{_PROMETHEUS_OPERATOR}/pkg/apis/monitoring",
                "h1:ZIouJCjC8R/XHxzGpOw+/czH9pVzg6wteYhLjJ80XGQ=",
                "h1:rZ+wRKDneCC/jJk24Mdb+6bAc6y/UjRliuMz6U20s6Y=",
            ),
            Published(
                f"{_PROMETHEUS_OPERATOR}/pkg/client",
                "h1:PhWdtSu3FcxnFdKs5dDZcP46KMECEakbU84pYyaCfr4=",
                "h1:fB1KXTlb9KLoUNoSlr53X6GYqabLX7onZruX5vQVSgI=",
            ),
        ],
    ),
)


def program(name: str, progress: Progress) -> Path:
    """Return where a program is, built if it is not there yet."""
    if name in binaries.BINARIES:
        return binaries.ensure([name], progress) / name
    release = _release(name)
    path = release.folder / name
    if not path.exists():
        _build_release(release, progress)
    return path


def module_tree(release: Release, folder: Path) -> Path:
    """Copy a module's files, checked, to a new folder below another; return it."""
    listed = binaries.run_go(
        ["mod", "download", "-json", f"{release.module}@{release.version}"], folder
    )
    found = json.loads(listed)
    if found["Sum"] != release.checksum:
        raise ClusterError(
            f"{release.module} {release.version} has the checksum {found['Sum']}, "
            f"not {release.checksum}: it is not what was tested.",
        )
    tree = folder / "tree"
    # The module cache is read-only, and its modes would be copied.
    shutil.copytree(found["Dir"], tree, copy_function=shutil.copyfile)
    for path in (tree, *tree.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return tree


def _release(name: str) -> Release:
    for release in RELEASES:
        if any(each.name == name for each in release.programs):
            return release
    raise ClusterError(f"There is no program {name} in the test bed.")


def _build_release(release: Release, progress: Progress) -> None:
    release.folder.mkdir(parents=True, exist_ok=True)
    names = ", ".join(each.name for each in release.programs)
    with progress.step(f"Building {names} {release.version}") as step:

        def say_waiting() -> None:
            step.detail("another build is running; waiting for it")

        with locked(release.folder / ".lock", say_waiting):
            if not all((release.folder / each.name).exists() for each in release.programs):
                _build_programs(release, step)


def _build_programs(release: Release, step: Step) -> None:
    with tempfile.TemporaryDirectory(dir=release.folder, prefix=".") as folder:
        step.detail("downloading")
        tree = module_tree(release, Path(folder))
        _complete(tree, release)
        for binary in release.programs:
            step.detail(binary.name)
            binaries.build(binary, release.folder, tree)


def _complete(tree: Path, release: Release) -> None:
    """Add what the published module lacks of the tree that its authors build in."""
    for path, text in release.placeholders:
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text(text, encoding="utf-8")
    for module in release.dropped:
        binaries.run_go(["mod", "edit", f"-droprequire={module}"], tree)
    with (tree / "go.sum").open("a", encoding="utf-8") as sums:
        for each in release.published:
            sums.write(f"{each.module} {release.version} {each.checksum}\n")
            sums.write(f"{each.module} {release.version}/go.mod {each.go_mod}\n")
    for each in release.published:
        binaries.run_go(["mod", "edit", f"-dropreplace={each.module}"], tree)
