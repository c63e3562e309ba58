"""Builds container images from ordinary Dockerfiles on this machine, without a daemon or a registry.

buildah builds, on a base that mmdebstrap makes from Debian packages. Nothing of this machine's way
to the package registries (proxies, certificates, pip's configuration) gets into an image.
"""

import configparser
import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from e2e.cluster import debian
from e2e.cluster.files import locked, write_atomically
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
_CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
_PIP_KEYS = {
    *("index-url", "extra-index-url", "find-links", "no-index", "trusted-host", "proxy"),
    *("timeout", "default-timeout", "retries"),
}
_ARCHIVES_KEPT = 3
_STORAGE_LIMIT = 4 * 2**30


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


def operator_image(progress: Progress) -> BuiltImage:
    """Return the operator's image, built if anything in it has changed."""
    return build_image(
        PROJECT / "Dockerfile", PROJECT, "operator", progress, sources=_OPERATOR_SOURCES
    )


def example_app_image(progress: Progress) -> BuiltImage:
    """Return the image of the example application."""
    context = PROJECT / "examples" / "app"
    return build_image(context / "Dockerfile", context, "example-app", progress)


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
        with progress.step(f"Building the image {name}") as step, _builder(step) as builder:
            if not image.archive.exists():
                builder.build(image.name, dockerfile, context, {"BASE": base})
                builder.export(image)
    image.archive.touch()
    _remove_old_archives(name)
    return image


def debian_base(progress: Progress) -> str:
    """Make the base image, a small Debian with Python, if it is not there; return its name."""
    name = _base_name()
    archive = _archives() / "base" / name.rpartition(":")[2] / "base.tar"
    with progress.step("Base image of Debian packages") as step, _builder(step) as builder:
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
    programs = debian.ensure(["mmdebstrap"], _Nested(step))
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
    _run(command, programs.environment)
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


@contextmanager
def _builder(step: Step) -> Iterator["_Builder"]:
    """Open the one image store; another process that builds is waited for."""
    home = cache_root() / "buildah"
    with locked(home / ".lock", lambda: step.detail("waiting for another build")):
        programs = debian.ensure(["buildah"], _Nested(step))
        builder = _Builder(programs, home, step)
        builder.prepare()
        yield builder


@dataclass(frozen=True)
class _Builder:
    """buildah with a store of its own, which the machine's settings do not reach."""

    programs: debian.Programs
    home: Path
    step: Step

    @property
    def _temporary(self) -> Path:
        return self.home / "tmp"

    @property
    def _environment(self) -> dict[str, str]:
        return self.programs.environment | {
            "CONTAINERS_STORAGE_CONF": str(self.home / "storage.conf"),
            "CONTAINERS_REGISTRIES_CONF": str(self.home / "registries.conf"),
            "TMPDIR": str(self._temporary),
        }

    def prepare(self) -> None:
        """Write the configuration and clear away what a killed build has left."""
        shutil.rmtree(self._temporary, ignore_errors=True)
        self._temporary.mkdir(parents=True)
        write_atomically(self.home / "registries.conf", "unqualified-search-registries = []\n")
        policy = '{"default": [{"type": "insecureAcceptAnything"}]}\n'
        write_atomically(self.home / "policy.json", policy)
        # Not every machine can stack overlays; vfs copies, but works everywhere.
        self._use_driver("overlay")
        if self._buildah("info", check=False).returncode:
            self._use_driver("vfs")
        if _size(self.home) > _STORAGE_LIMIT:
            self.step.detail("emptying the store, which has grown large")
            self._buildah("rmi", "--all", "--force")
        self._buildah("rm", "--all")

    def has(self, name: str) -> bool:
        """Tell whether the store has an image."""
        return bool(self._buildah("images", "--quiet", name, check=False).stdout.strip())

    def build(
        self, name: str, dockerfile: Path, context: Path, arguments: Mapping[str, str]
    ) -> None:
        """Build an image into the store; unchanged steps come from the last build."""
        command = [
            *self._command("bud", "--isolation", "chroot", "--network", "host", "--layers"),
            *("--pull-never", "--format", "oci", "--signature-policy", self._policy),
            *self._mounts(),
            *(f"--build-arg={key}={value}" for key, value in arguments.items()),
            *("--file", str(dockerfile), "--tag", name, str(context)),
        ]
        with subprocess.Popen(
            command,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            assert process.stdout is not None
            lines = [self._show(line.rstrip()) for line in process.stdout]
        if process.returncode:
            raise ClusterError(f"Building {name} failed:\n" + "\n".join(lines[-40:]))

    def export(self, image: BuiltImage) -> None:
        """Write an image as an archive, uncompressed, since it only goes to this machine."""
        self.step.detail("writing the archive")
        temporary = image.archive.with_name(f".{image.archive.name}")
        temporary.unlink(missing_ok=True)
        self._buildah(
            *("push", "--quiet", "--disable-compression", "--signature-policy", self._policy),
            *(image.name, f"oci-archive:{temporary}:{image.name}"),
        )
        temporary.replace(image.archive)

    @property
    def _policy(self) -> str:
        return str(self.home / "policy.json")

    def _show(self, line: str) -> str:
        if " STEP " in f" {line}":
            self.step.detail(line[:120])
        return line

    def _mounts(self) -> list[str]:
        """Mount the machine's certificates and pip's configuration for the time of the build."""
        configuration = _pip_configuration()
        write_atomically(self.home / "pip.conf", _pip_text(configuration), mode=0o600)
        mounts = {str(self.home / "pip.conf"): "/etc/pip.conf", str(_bundle()): _CERTIFICATES}
        places = configuration.get("find-links", "").split()
        mounts |= {place: place for place in places if Path(place).is_dir()}
        return [f"--volume={source}:{target}:ro" for source, target in mounts.items()]

    def _use_driver(self, driver: str) -> None:
        configuration = (
            f'[storage]\ndriver = "{driver}"\ngraphroot = "{self.home / driver}"\n'
            # Below /run, which is empty after a restart of the machine, as what it says is then.
            f'runroot = "/run/firewatch-buildah/{driver}"\n'
        )
        write_atomically(self.home / "storage.conf", configuration)

    def _command(self, *arguments: str) -> list[str]:
        return [str(self.programs.path("buildah")), *arguments]

    def _buildah(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return _run(self._command(*arguments), self._environment, check=check)


def _pip_configuration() -> dict[str, str]:
    """Return how this machine's pip reaches a package index, from its files and environment."""
    parser = configparser.RawConfigParser()
    home = Path.home()
    parser.read(
        [
            *("/etc/pip.conf", home / ".pip" / "pip.conf", home / ".config" / "pip" / "pip.conf"),
            *filter(None, [os.environ.get("PIP_CONFIG_FILE")]),
        ],
        encoding="utf-8",
    )
    found = dict(parser["global"]) if parser.has_section("global") else {}
    if index := os.environ.get("UV_DEFAULT_INDEX") or os.environ.get("UV_INDEX_URL"):
        found.setdefault("index-url", index)
    for name, value in os.environ.items():
        if name.startswith("PIP_"):
            found[name.removeprefix("PIP_").lower().replace("_", "-")] = value
    return {key: value for key, value in found.items() if key in _PIP_KEYS}


def _pip_text(configuration: Mapping[str, str]) -> str:
    lines = [
        f"{key} = {value.replace(chr(10), chr(10) + '  ')}" for key, value in configuration.items()
    ]
    return "\n".join(["[global]", f"cert = {_CERTIFICATES}", *lines, ""])


def _bundle() -> Path:
    """Return the certificates that this machine trusts, its own proxy's among them."""
    names = (
        os.environ.get(name, "") for name in ("PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
    )
    found = next((Path(name) for name in names if name and Path(name).is_file()), None)
    return (found or Path(_CERTIFICATES)).resolve()


def _size(folder: Path) -> int:
    return sum(
        (Path(place) / name).lstat().st_size
        for place, _, names in os.walk(folder)
        for name in names
    )


class _Nested:
    """Shows the steps of a helper as details of the step that called it."""

    def __init__(self, step: Step) -> None:
        self._step = step

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """Show a step inside the outer one."""
        self._step.detail(title)
        yield self._step


def _run(
    command: Sequence[str], environment: Mapping[str, str], *, check: bool = True
) -> subprocess.CompletedProcess[str]:
    result = subprocess.run(
        command, env=dict(environment), capture_output=True, text=True, check=False
    )
    if check and result.returncode:
        raise ClusterError(f"{Path(command[0]).name} failed:\n{result.stderr.strip()[-4000:]}")
    return result
