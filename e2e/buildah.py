"""Builds Dockerfiles without a daemon: buildah, with an image store and settings of its own.

Nothing of this machine's way to the package registries (proxies, certificates, pip's configuration)
gets into an image.
"""

import configparser
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from e2e.cluster import debian
from e2e.cluster.files import locked, write_atomically
from e2e.cluster.interface import ClusterError, Step
from e2e.cluster.places import cache_root

_CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
_PIP_KEYS = {
    *("index-url", "extra-index-url", "find-links", "no-index", "trusted-host", "proxy"),
    *("timeout", "default-timeout", "retries"),
}
# buildah starts itself anew without LD_LIBRARY_PATH, so it is given an index of libraries in which
# the unpacked ones are, in a mount namespace that no other process sees.
_WITH_LIBRARIES = (
    "unshare",
    "--mount",
    "sh",
    "-c",
    'mount --bind "$0" /etc/ld.so.cache; exec "$@"',
)
_STORAGE_LIMIT = 4 * 2**30


@contextmanager
def open_builder(step: Step) -> Iterator["Builder"]:
    """Open the one image store; another process that builds is waited for."""
    home = cache_root() / "buildah"
    with locked(home / ".lock", lambda: step.detail("waiting for another build")):
        programs = debian.ensure(["buildah"], NestedProgress(step))
        builder = Builder(programs, home, step)
        builder.prepare()
        try:
            yield builder
        finally:
            builder.tidy()


@dataclass(frozen=True)
class Builder:
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
        self.tidy()
        self._temporary.mkdir(parents=True)
        write_atomically(self.home / "registries.conf", "unqualified-search-registries = []\n")
        policy = '{"default": [{"type": "insecureAcceptAnything"}]}\n'
        write_atomically(self.home / "policy.json", policy)
        libraries = self.programs.environment["LD_LIBRARY_PATH"].split(":")
        libraries = [folder for folder in libraries if folder]
        run(["ldconfig", "-X", "-C", str(self._libraries), *libraries], self._environment)
        # Not every machine can stack overlays; vfs copies, but works everywhere.
        self._use_driver("overlay")
        if self._buildah("info", check=False).returncode:
            self._use_driver("vfs")
        self._buildah("rm", "--all")
        if _size(self.home) > _STORAGE_LIMIT:
            self.step.detail("emptying the store, which has grown large")
            self._buildah("rmi", "--all", "--force")

    def tidy(self) -> None:
        """Remove temporary files, pip's configuration among them, which may hold a password."""
        shutil.rmtree(self._temporary, ignore_errors=True)

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

    def export(self, name: str, archive: Path) -> None:
        """Write an image as an OCI archive that carries its name."""
        self.step.detail("writing the archive")
        temporary = archive.with_name(f".{archive.name}")
        temporary.unlink(missing_ok=True)
        self._buildah(
            *("push", "--quiet", "--signature-policy", self._policy),
            *(name, f"oci-archive:{temporary}:{name}"),
        )
        temporary.replace(archive)

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
        pip = self._temporary / "pip.conf"
        write_atomically(pip, _pip_text(configuration), mode=0o600)
        mounts = {str(pip): "/etc/pip.conf", str(_bundle()): _CERTIFICATES}
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

    @property
    def _libraries(self) -> Path:
        return self.home / "ld.so.cache"

    def _command(self, *arguments: str) -> list[str]:
        program = str(self.programs.path("buildah"))
        return [*_WITH_LIBRARIES, str(self._libraries), program, *arguments]

    def _buildah(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return run(self._command(*arguments), self._environment, check=check)


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


class NestedProgress:
    """Shows the steps of a helper as details of the step that called it."""

    def __init__(self, step: Step) -> None:
        self._step = step

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """Show a step inside the outer one."""
        self._step.detail(title)
        yield self._step


def run(
    command: Sequence[str], environment: Mapping[str, str], *, check: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end; ``ClusterError`` has what it said if it failed."""
    result = subprocess.run(
        command, env=dict(environment), capture_output=True, text=True, check=False
    )
    if check and result.returncode:
        raise ClusterError(f"{Path(command[0]).name} failed:\n{result.stderr.strip()[-4000:]}")
    return result
