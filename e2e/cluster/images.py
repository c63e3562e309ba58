"""The images that the test bed itself needs, and how images get to the node."""

import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from e2e.cluster import programs
from e2e.cluster.binaries import COREDNS, NODE_EXPORTER, PROMETHEUS
from e2e.cluster.interface import ClusterError, Progress
from e2e.cluster.oci import ScratchImage, archive_images, scratch_image
from e2e.cluster.processes import wait_until

PREFIX = "localhost/firewatch-testbed"
PAUSE_IMAGE = f"{PREFIX}/pause:1"
COREDNS_IMAGE = f"{PREFIX}/coredns:{COREDNS}"
PROMETHEUS_IMAGE = f"{PREFIX}/prometheus:{PROMETHEUS}"
NODE_EXPORTER_IMAGE = f"{PREFIX}/node-exporter:{NODE_EXPORTER}"
ALERTMANAGER_IMAGE = f"{PREFIX}/alertmanager:{programs.ALERTMANAGER}"
BLACKBOX_EXPORTER_IMAGE = f"{PREFIX}/blackbox-exporter:{programs.BLACKBOX_EXPORTER}"
KUBE_STATE_METRICS_IMAGE = f"{PREFIX}/kube-state-metrics:{programs.KUBE_STATE_METRICS}"
PUSHGATEWAY_IMAGE = f"{PREFIX}/pushgateway:{programs.PUSHGATEWAY}"
POSTGRES_EXPORTER_IMAGE = f"{PREFIX}/postgres-exporter:{programs.POSTGRES_EXPORTER}"
PROMETHEUS_ADAPTER_IMAGE = f"{PREFIX}/prometheus-adapter:{programs.PROMETHEUS_ADAPTER}"
KEDA_IMAGE = f"{PREFIX}/keda:{programs.KEDA}"
KEDA_ADAPTER_IMAGE = f"{PREFIX}/keda-metrics-apiserver:{programs.KEDA}"

_PROMETHEUS_CONFIG = "# Replaced by whoever mounts a configuration here.\nglobal: {}\n"
_PROMETHEUS_FILE = "/etc/prometheus/prometheus.yml"


@dataclass(frozen=True)
class _Recipe:
    """What goes into an image; the first program is the one that it runs."""

    programs: Sequence[str]
    directory: str = "/bin"
    texts: Mapping[str, str] = field(default_factory=dict)
    arguments: Sequence[str] = ()
    folder: str = "/"

    def image(self, name: str, find: Callable[[str], Path]) -> ScratchImage:
        places = [f"{self.directory.rstrip('/')}/{program}" for program in self.programs]
        files = dict(zip(places, map(find, self.programs), strict=True))
        return ScratchImage(
            name, {**files, **self.texts}, places[:1], self.arguments, folder=self.folder
        )


# Each has its programs, its entry point and its working directory where the published one has.
_EVERY_CLUSTER = {
    PAUSE_IMAGE: _Recipe(["pause"]),
    COREDNS_IMAGE: _Recipe(["coredns"]),
    PROMETHEUS_IMAGE: _Recipe(
        ["prometheus", "promtool"],
        texts={_PROMETHEUS_FILE: _PROMETHEUS_CONFIG},
        arguments=[f"--config.file={_PROMETHEUS_FILE}", "--storage.tsdb.path=/prometheus"],
        folder="/prometheus",
    ),
    NODE_EXPORTER_IMAGE: _Recipe(["node_exporter"]),
}
_WHEN_ASKED = {
    ALERTMANAGER_IMAGE: _Recipe(["alertmanager", "amtool"], folder="/alertmanager"),
    BLACKBOX_EXPORTER_IMAGE: _Recipe(["blackbox_exporter"]),
    KUBE_STATE_METRICS_IMAGE: _Recipe(["kube-state-metrics"], directory="/"),
    PUSHGATEWAY_IMAGE: _Recipe(["pushgateway"], folder="/pushgateway"),
    POSTGRES_EXPORTER_IMAGE: _Recipe(["postgres_exporter"]),
    PROMETHEUS_ADAPTER_IMAGE: _Recipe(["prometheus-adapter"], directory="/"),
    KEDA_IMAGE: _Recipe(["keda"], directory="/"),
    KEDA_ADAPTER_IMAGE: _Recipe(["keda-adapter"], directory="/"),
}


def image_archive(name: str, progress: Progress) -> Path:
    """Return the archive of one of the images above, its programs built if need be."""
    recipe = (_EVERY_CLUSTER | _WHEN_ASKED)[name]
    return scratch_image(recipe.image(name, lambda each: programs.program(each, progress)))


def all_programs() -> list[str]:
    """Return the programs that go into the images that every cluster has."""
    return [name for recipe in _EVERY_CLUSTER.values() for name in recipe.programs]


def all_images() -> list[str]:
    """Return the names of the images that every cluster has."""
    return list(_EVERY_CLUSTER)


def component_image(component: str) -> str:
    """Return the name of a component's image, such as that of `kube-state-metrics`."""
    for name in (*_EVERY_CLUSTER, *_WHEN_ASKED):
        if name.startswith(f"{PREFIX}/{component}:"):
            return name
    raise ClusterError(f"The test bed has no image of {component}.")


@dataclass(frozen=True)
class ImageStore:
    """The images of one containerd."""

    ctr: Path
    socket: Path
    environment: Mapping[str, str]

    def load(self, archive: Path) -> list[str]:
        """Import the images of an archive that are not there yet; return their names."""
        names = archive_images(archive)
        if not names:
            raise ClusterError(
                f"{archive} names no image. Write it with a name, as in "
                "`buildah push IMAGE docker-archive:FILE:localhost/NAME:TAG`.",
            )
        present = self._digests()
        if any(present.get(name) != digest or not digest for name, digest in names.items()):
            self._run("import", "--base-name", _repository(next(iter(names))), str(archive))
        if not wait_until(lambda: names.keys() <= self._known(), timeout=30):
            raise ClusterError(f"containerd does not show {', '.join(names)} to the kubelet.")
        return list(names)

    def is_answering(self) -> bool:
        """Tell whether containerd can be asked."""
        try:
            self._digests()
        except ClusterError:
            return False
        return True

    def _digests(self) -> dict[str, str]:
        rows = (line.split() for line in self._run("list").splitlines()[1:])
        return {row[0]: row[2] for row in rows if len(row) > 2}

    def _known(self) -> set[str]:
        """Return the images that the kubelet sees too, which is a moment after their import."""
        rows = self._run("list", 'labels."io.cri-containerd.image"==managed', "--quiet")
        return set(rows.split())

    def _run(self, *arguments: str) -> str:
        result = subprocess.run(
            [self.ctr, "--address", self.socket, "--namespace", "k8s.io", "images", *arguments],
            env=dict(self.environment),
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode:
            raise ClusterError(f"ctr images {arguments[0]} failed: {result.stderr.strip()}")
        return result.stdout


def _repository(name: str) -> str:
    """Return an image's name without its tag."""
    head, separator, tail = name.rpartition("/")
    return head + separator + tail.partition(":")[0]
