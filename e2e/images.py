"""The images that are built from Dockerfiles of this repository, on a base of Debian packages."""

import hashlib
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from e2e.buildah import NestedProgress, open_builder, run
from e2e.cluster import debian
from e2e.cluster.files import write_atomically
from e2e.cluster.interface import ClusterError, Progress, Step
from e2e.cluster.places import cache_root

PROJECT = Path(__file__).resolve().parents[1]
PREFIX = "localhost/firewatch-testbed"

_BASE_PACKAGES = (
    *("base-files", "base-passwd", "ca-certificates", "coreutils", "dash", "findutils", "grep"),
    *("python3", "python3-pip", "python3-venv", "sed"),
)
_BASE_HOOKS = (
    # Packages are unpacked, not configured, so what their scripts would have made is made here.
    'cp "$1/usr/share/base-passwd/passwd.master" "$1/etc/passwd"',
    'cp "$1/usr/share/base-passwd/group.master" "$1/etc/group"',
    'cat "$1"/usr/share/ca-certificates/mozilla/*.crt > "$1/etc/ssl/certs/ca-certificates.crt"',
    # The mount point of pip's configuration, so that mounting it leaves nothing behind.
    'touch "$1/etc/pip.conf"',
    'cd "$1" && rm -rf usr/share/doc usr/share/man usr/share/locale',
    # mmdebstrap's copies of this machine's own.
    'rm -f "$1/etc/hostname" "$1/etc/resolv.conf"',
)
_BASE_CONTAINERFILE = "FROM scratch\nADD base.tar /\nENV PATH=/usr/local/bin:/usr/bin:/bin\n"

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
    digest = hashlib.sha256(f"{_base_name()}\n".encode())
    for path in (dockerfile, *inputs):
        digest.update(f"{path.relative_to(context)} {path.stat().st_mode & 0o111}\n".encode())
        digest.update(path.read_bytes())
    tag = digest.hexdigest()[:12]
    image = BuiltImage(f"{PREFIX}/{name}:{tag}", _archives() / f"{name}-{tag}.tar")
    if not image.archive.exists():
        base = debian_base(progress)
        with progress.step(f"Building the image {name}") as step, open_builder(step) as builder:
            if not image.archive.exists():
                builder.build(image.name, dockerfile, context, {"BASE": base})
                builder.export(image.name, image.archive)
    image.archive.touch()
    _remove_old_archives(name)
    return image


def debian_base(progress: Progress) -> str:
    """Make the base image, a small Debian with Python, if it is not there; return its name."""
    name = _base_name()
    archive = _archives() / "base" / name.rpartition(":")[2] / "base.tar"
    with progress.step("Base image of Debian packages") as step, open_builder(step) as builder:
        if builder.has(name):
            return name
        if not archive.exists():
            _make_root(archive, step)
        containerfile = archive.with_name("Containerfile")
        write_atomically(containerfile, _BASE_CONTAINERFILE)
        builder.build(name, containerfile, archive.parent, {})
    return name


def _base_name() -> str:
    digest = hashlib.sha256(repr((_BASE_PACKAGES, _BASE_HOOKS, _BASE_CONTAINERFILE)).encode())
    return f"{PREFIX}/debian-python:{_release()}-{digest.hexdigest()[:8]}"


def _release() -> str:
    """Return the code name of this machine's Debian, whose package sources are used."""
    lines = Path("/etc/os-release").read_text(encoding="utf-8").splitlines()
    values = dict(line.partition("=")[::2] for line in lines)
    return values.get("VERSION_CODENAME", "stable").strip('"')


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


def _make_root(archive: Path, step: Step) -> None:
    """Write the base's root file system, from the machine's own package sources."""
    programs = debian.ensure(["mmdebstrap"], NestedProgress(step))
    mmdebstrap = programs.path("mmdebstrap")
    hooks = mmdebstrap.parents[1] / "share" / "mmdebstrap" / "hooks" / "merged-usr"
    archive.parent.mkdir(parents=True, exist_ok=True)
    temporary = archive.with_name(".base.tar")
    step.detail("unpacking packages")
    command = [
        *(str(mmdebstrap), "--mode=root", "--variant=extract", f"--hook-dir={hooks}"),
        f"--include={','.join(_BASE_PACKAGES)}",
        *(f"--extract-hook={hook}" for hook in _BASE_HOOKS),
        *(_release(), str(temporary)),
        *_package_sources(),
    ]
    run(command, programs.environment)
    temporary.replace(archive)


def _package_sources() -> list[str]:
    """Return sources lines for this machine's own release, none if apt does not know them."""
    form = "$(REPO_URI) $(CODENAME)"
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", form, "Created-By: Packages", "Component: main"],
        capture_output=True,
        text=True,
        check=False,
    )
    rows = {tuple(line.split()) for line in listed.stdout.splitlines()}
    return [
        f"deb {row[0]} {row[1]} main"
        for row in sorted(rows)
        if len(row) == 2 and row[1].startswith(_release())
    ]
