"""Images of Debian packages, from this machine's own package sources, without a registry."""

import hashlib
import subprocess
from dataclasses import dataclass
from pathlib import Path

from e2e.buildah import NestedProgress, open_builder, run
from e2e.cluster import debian
from e2e.cluster.files import write_atomically
from e2e.cluster.images import PREFIX
from e2e.cluster.interface import Progress, Step
from e2e.cluster.places import cache_root

_USERS_AND_AUTHORITIES = (
    # Packages are unpacked, not configured, so what their scripts would have made is made here.
    'cp "$1/usr/share/base-passwd/passwd.master" "$1/etc/passwd"',
    'cp "$1/usr/share/base-passwd/group.master" "$1/etc/group"',
    'cat "$1"/usr/share/ca-certificates/mozilla/*.crt > "$1/etc/ssl/certs/ca-certificates.crt"',
)
_NO_PAPERS = (
    'cd "$1" && rm -rf usr/share/doc usr/share/man usr/share/locale',
    # mmdebstrap's copies of this machine's own.
    'rm -f "$1/etc/hostname" "$1/etc/resolv.conf"',
)
_CONTAINERFILE = "FROM scratch\nADD base.tar /\nENV PATH=/usr/local/bin:/usr/bin:/bin\n"


@dataclass(frozen=True)
class DebianImage:
    """An image of Debian packages."""

    name: str
    packages: tuple[str, ...]
    hooks: tuple[str, ...]
    """Commands of mmdebstrap after unpacking; ``$1`` is the root."""

    @property
    def reference(self) -> str:
        """The image's full name; its tag tells the release and a hash of the contents."""
        digest = hashlib.sha256(
            repr((self.packages, self.hooks, _CONTAINERFILE)).encode()
        ).hexdigest()
        return f"{PREFIX}/{self.name}:{_release()}-{digest[:8]}"

    @property
    def _folder(self) -> Path:
        return cache_root() / "images" / "base" / self.reference.rpartition(":")[2]

    def build(self, progress: Progress) -> str:
        """Make the image in the builder's store if it is not there; return its name."""
        title = f"Image {self.name} of Debian packages"
        with progress.step(title) as step, open_builder(step) as builder:
            if not builder.has(self.reference):
                root = self._folder / "base.tar"
                if not root.exists():
                    _make_root(root, self, step)
                containerfile = self._folder / "Containerfile"
                write_atomically(containerfile, _CONTAINERFILE)
                builder.build(self.reference, containerfile, self._folder, {})
        return self.reference

    def archive(self, progress: Progress) -> Path:
        """Return the image as an OCI archive, made if it is not there."""
        archive = self._folder / f"{self.name}.tar"
        if not archive.exists():
            self.build(progress)
            title = f"Writing the image {self.name}"
            with progress.step(title) as step, open_builder(step) as builder:
                builder.export(self.reference, archive)
        return archive


PYTHON = DebianImage(
    "debian-python",
    (
        *("base-files", "base-passwd", "ca-certificates", "coreutils", "dash", "findutils"),
        *("grep", "libstdc++6", "python3", "python3-pip", "python3-venv", "sed"),
    ),
    (
        *_USERS_AND_AUTHORITIES,
        # The mount point of pip's configuration, so that mounting it leaves nothing behind.
        'touch "$1/etc/pip.conf"',
        *_NO_PAPERS,
    ),
)
POSTGRES = DebianImage(
    "postgres",
    (
        *("base-files", "base-passwd", "ca-certificates", "coreutils", "dash", "grep"),
        *("postgresql", "sed"),
    ),
    (
        *_USERS_AND_AUTHORITIES,
        # Programs of the one version in the release, found as in the published image.
        'mkdir -p "$1/usr/local/bin"',
        'cd "$1" && for each in usr/lib/postgresql/*/bin/*; do ln -s "/$each" usr/local/bin/; done',
        *_NO_PAPERS,
    ),
)
CHROMIUM = DebianImage(
    "chromium",
    (
        *("base-files", "base-passwd", "ca-certificates", "coreutils", "dash", "sed"),
        *("chromium", "chromium-driver", "fonts-dejavu-core", "python3"),
    ),
    (*_USERS_AND_AUTHORITIES, *_NO_PAPERS),
)


def _release() -> str:
    """Return the code name of this machine's Debian, whose package sources are used."""
    lines = Path("/etc/os-release").read_text(encoding="utf-8").splitlines()
    values = dict(line.partition("=")[::2] for line in lines)
    return values.get("VERSION_CODENAME", "stable").strip('"')


def _make_root(archive: Path, image: DebianImage, step: Step) -> None:
    """Write a root file system, from the machine's own package sources."""
    programs = debian.ensure(["mmdebstrap"], NestedProgress(step))
    mmdebstrap = programs.path("mmdebstrap")
    hooks = mmdebstrap.parents[1] / "share" / "mmdebstrap" / "hooks" / "merged-usr"
    archive.parent.mkdir(parents=True, exist_ok=True)
    temporary = archive.with_name(".base.tar")
    step.detail("unpacking packages")
    command = [
        *(str(mmdebstrap), "--mode=root", "--variant=extract", f"--hook-dir={hooks}"),
        f"--include={','.join(image.packages)}",
        *(f"--extract-hook={hook}" for hook in image.hooks),
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
