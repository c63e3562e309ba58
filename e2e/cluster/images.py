"""The images that the test bed itself needs, and how images get to the node."""

import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from e2e.cluster import binaries
from e2e.cluster.binaries import COREDNS, NODE_EXPORTER, PROMETHEUS
from e2e.cluster.interface import ClusterError, Progress
from e2e.cluster.oci import ScratchImage, archive_images, scratch_image
from e2e.cluster.processes import wait_until

PREFIX = "localhost/firewatch-testbed"
PAUSE_IMAGE = f"{PREFIX}/pause:1"
COREDNS_IMAGE = f"{PREFIX}/coredns:{COREDNS}"
PROMETHEUS_IMAGE = f"{PREFIX}/prometheus:{PROMETHEUS}"
NODE_EXPORTER_IMAGE = f"{PREFIX}/node-exporter:{NODE_EXPORTER}"

_PROMETHEUS_CONFIG = "# Replaced by whoever mounts a configuration here.\nglobal: {}\n"


def _pause(folder: Path) -> ScratchImage:
    return ScratchImage(PAUSE_IMAGE, {"/bin/pause": folder / "pause"}, ["/bin/pause"])


def _coredns(folder: Path) -> ScratchImage:
    files = {"/bin/coredns": folder / "coredns"}
    return ScratchImage(COREDNS_IMAGE, files, ["/bin/coredns"])


def _prometheus(folder: Path) -> ScratchImage:
    configuration = "/etc/prometheus/prometheus.yml"
    return ScratchImage(
        PROMETHEUS_IMAGE,
        {
            "/bin/prometheus": folder / "prometheus",
            "/bin/promtool": folder / "promtool",
            configuration: _PROMETHEUS_CONFIG,
        },
        ["/bin/prometheus"],
        [f"--config.file={configuration}", "--storage.tsdb.path=/prometheus"],
        folder="/prometheus",
    )


def _node_exporter(folder: Path) -> ScratchImage:
    files = {"/bin/node_exporter": folder / "node_exporter"}
    return ScratchImage(NODE_EXPORTER_IMAGE, files, ["/bin/node_exporter"])


_IMAGES: Mapping[str, tuple[Sequence[str], Callable[[Path], ScratchImage]]] = {
    PAUSE_IMAGE: (["pause"], _pause),
    COREDNS_IMAGE: (["coredns"], _coredns),
    PROMETHEUS_IMAGE: (["prometheus", "promtool"], _prometheus),
    NODE_EXPORTER_IMAGE: (["node_exporter"], _node_exporter),
}


def image_archive(name: str, progress: Progress) -> Path:
    """Return the archive of one of the images above, its programs built if need be."""
    programs, describe = _IMAGES[name]
    return scratch_image(describe(binaries.ensure(programs, progress)))


def all_programs() -> list[str]:
    """Return the programs that go into the images."""
    return [name for programs, _ in _IMAGES.values() for name in programs]


def all_images() -> list[str]:
    """Return the names of the images that every cluster has."""
    return list(_IMAGES)


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
