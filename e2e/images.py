"""The images that are built from Dockerfiles of this repository, on a base of Debian packages."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from e2e.buildah import open_builder, run
from e2e.cluster.images import PREFIX
from e2e.cluster.interface import ClusterError, Progress
from e2e.cluster.places import cache_root
from e2e.debian_images import PYTHON

PROJECT = Path(__file__).resolve().parents[1]

_OPERATOR_SOURCES = (
    *("Dockerfile", ".dockerignore", "pyproject.toml", "README.md", "LICENSE"),
    *("requirements/build.txt", "requirements/operator.txt", "operator"),
)
_ARCHIVES_KEPT = 3


@dataclass(frozen=True)
class BuiltImage:
    """An image on this machine."""

    name: str
    """Full name with tag; the tag is a hash of everything that the image was built from."""
    archive: Path
    """OCI archive for `ctr images import`."""

    @property
    def repository(self) -> str:
        """The name without the tag, as charts want it."""
        return self.name.rpartition(":")[0]

    @property
    def tag(self) -> str:
        """The tag alone."""
        return self.name.rpartition(":")[2]


def operator_image(
    progress: Progress, *, by_docker: bool = False, project: Path = PROJECT
) -> BuiltImage:
    """Return the operator's image, built if anything in it has changed."""
    dockerfile = project / "Dockerfile"
    if by_docker:
        return build_by_docker(dockerfile, project, "operator", progress)
    return build_image(dockerfile, project, "operator", progress, sources=_OPERATOR_SOURCES)


def example_app_image(progress: Progress, *, by_docker: bool = False) -> BuiltImage:
    """Return the image of the example application."""
    context = PROJECT / "examples" / "app"
    build = build_by_docker if by_docker else build_image
    return build(context / "Dockerfile", context, "example-app", progress)


def build_by_docker(dockerfile: Path, context: Path, name: str, progress: Progress) -> BuiltImage:
    """Build an image by Docker, on the published base; Docker itself knows what has changed.

    Not run by us: there was no Docker.
    """
    with progress.step(f"Building the image {name} by Docker"):
        build = ["docker", "build", "--quiet", f"--file={dockerfile}", str(context)]
        tag = run(build, os.environ).stdout.strip().rpartition(":")[2][:12]
        image = BuiltImage(f"{PREFIX}/{name}:{tag}", _archives() / f"{name}-docker.tar")
        run(["docker", "tag", tag, image.name], os.environ)
        image.archive.parent.mkdir(parents=True, exist_ok=True)
        run(["docker", "save", f"--output={image.archive}", image.name], os.environ)
    return image


def build_image(
    dockerfile: Path,
    context: Path,
    name: str,
    progress: Progress,
    *,
    sources: Sequence[str] = (".",),
) -> BuiltImage:
    """Build `localhost/firewatch-testbed/NAME` on the Debian base, unless it is there already.

    `sources` are the files and folders of the context that the image is made of.
    """
    inputs = _files(context, sources)
    digest = hashlib.sha256(f"{PYTHON.reference}\n".encode())
    for path in (dockerfile, *inputs):
        digest.update(f"{path.relative_to(context)} {path.stat().st_mode & 0o111}\n".encode())
        digest.update(path.read_bytes())
    tag = digest.hexdigest()[:12]
    image = BuiltImage(f"{PREFIX}/{name}:{tag}", _archives() / f"{name}-{tag}.tar")
    if not image.archive.exists():
        base = PYTHON.build(progress)
        with progress.step(f"Building the image {name}") as step, open_builder(step) as builder:
            if not image.archive.exists():
                builder.build(image.name, dockerfile, context, {"BASE": base})
                builder.export(image.name, image.archive)
    image.archive.touch()
    _remove_old_archives(name)
    return image


def _archives() -> Path:
    return cache_root() / "images"


def _files(context: Path, sources: Sequence[str]) -> list[Path]:
    """Return every file of the sources in a fixed order; `ClusterError` names a missing one."""
    found: set[Path] = set()
    for source in sources:
        path = context / source
        if not path.exists():
            raise ClusterError(f"{path} is not there, and the image is built from it.")
        found.update(entry for entry in (path, *path.rglob("*")) if entry.is_file())
    return sorted(path for path in found if "__pycache__" not in path.parts)


def _remove_old_archives(name: str) -> None:
    archives = _archives().glob(f"{name}-{'[0-9a-f]' * 12}.tar")
    for old in sorted(archives, key=lambda path: path.stat().st_mtime)[:-_ARCHIVES_KEPT]:
        old.unlink(missing_ok=True)
