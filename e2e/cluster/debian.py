"""Takes programs from Debian packages without installing them.

The packages are unpacked into the cache, so the machine is left as it was: no service that
starts by itself, nothing to remove later. What the machine has installed is not used instead:
it may come and go, and running processes would have to follow it.
"""

import os
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from e2e.cluster.files import locked
from e2e.cluster.interface import ClusterError, Progress, Step
from e2e.cluster.places import cache_root

PACKAGES = {
    "etcd": "etcd-server",
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "nft": "nftables",
    "ptp": "containernetworking-plugins",
    "host-local": "containernetworking-plugins",
    "loopback": "containernetworking-plugins",
    "buildah": "buildah",
    "mmdebstrap": "mmdebstrap",
}
_FOLDERS = ("usr/bin", "usr/sbin", "usr/lib/cni")


@dataclass(frozen=True)
class Programs:
    """The programs found, and the environment that they run in."""

    root: Path

    def path(self, name: str) -> Path:
        """Return where a program is."""
        found = _find(self.root, name)
        if found is None:
            raise ClusterError(f"{name} (Debian package {PACKAGES[name]}) is not there.")
        return found

    @property
    def environment(self) -> dict[str, str]:
        """The search paths under which the programs find each other and their libraries."""
        folders = [str(self.root / folder) for folder in ("usr/sbin", "usr/bin")]
        libraries = [str(path) for path in sorted(self.root.glob("usr/lib/*-linux-gnu*"))]
        return os.environ | {
            "PATH": ":".join([*folders, "/usr/sbin", "/usr/bin", "/sbin", "/bin"]),
            "LD_LIBRARY_PATH": ":".join(libraries),
        }


def unpacked() -> Programs:
    """Return the programs that are there, without getting any."""
    return Programs(cache_root() / "debian" / "root")


def ensure(names: Iterable[str], progress: Progress) -> Programs:
    """Unpack the packages of those programs that are missing."""
    names = list(names)
    programs = unpacked()
    if not _missing(programs.root, names):
        return programs
    with (
        progress.step("Unpacking Debian packages") as step,
        locked(
            programs.root.parent / ".lock",
            lambda: step.detail("waiting for another process"),
        ),
    ):
        # Whoever held the lock may have done it.
        if packages := _missing(programs.root, names):
            step.detail(", ".join(packages))
            _get(packages, programs.root, step)
    return programs


def _missing(root: Path, names: Iterable[str]) -> list[str]:
    return sorted({PACKAGES[name] for name in names if not _marker(root, PACKAGES[name]).exists()})


def _get(packages: list[str], root: Path, step: Step) -> None:
    archives = root.parent / "archives"
    (archives / "partial").mkdir(parents=True, exist_ok=True)
    if not _download(packages, archives):
        step.detail("refreshing the package lists")
        _run(["apt-get", "update", "-q"])
        step.detail("downloading")
        if not _download(packages, archives):
            raise ClusterError(f"apt-get could not download {', '.join(packages)}.")
    _unpack(archives, root)
    for package in packages:
        _marker(root, package).touch()


def _marker(root: Path, package: str) -> Path:
    """Return the file that says a package was unpacked whole, with what it depends on."""
    return root / f".{package}"


def _find(root: Path, name: str) -> Path | None:
    places = (root / folder / name for folder in _FOLDERS)
    return next((path for path in places if path.exists()), None)


def _download(packages: list[str], archives: Path) -> bool:
    result = subprocess.run(
        [
            *("apt-get", "install", "--yes", "--no-install-recommends", "--download-only"),
            # Also what is installed already.
            *("--reinstall", "-q", "-o", f"Dir::Cache::archives={archives}", *packages),
        ],
        capture_output=True,
        check=False,
    )
    return result.returncode == 0


def _unpack(archives: Path, root: Path) -> None:
    """Unpack beside the root and move files in one by one, so that what is there is whole."""
    staging = root.with_name("staging")
    shutil.rmtree(staging, ignore_errors=True)
    for archive in sorted(archives.glob("*.deb")):
        _run(["dpkg-deb", "-x", str(archive), str(staging)])
    for folder, _, files in os.walk(staging):
        target = root / Path(folder).relative_to(staging)
        target.mkdir(parents=True, exist_ok=True)
        for name in files:
            (Path(folder) / name).replace(target / name)
    shutil.rmtree(staging)
    for archive in archives.glob("*.deb"):
        archive.unlink()


def _run(command: list[str]) -> None:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise ClusterError(f"{' '.join(command)} failed:\n{result.stderr.strip()[-2000:]}")
