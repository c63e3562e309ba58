"""Assembles container images from static programs, without any tool and without a base image."""

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from e2e.cluster.files import locked
from e2e.cluster.places import cache_root

_CA_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
_ACCOUNTS = "root:x:0:0:root:/:/sbin/nologin\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n"
_GROUPS = "root:x:0:\nnobody:x:65534:\n"
_TYPES = "application/vnd.oci.image"


@dataclass(frozen=True)
class ScratchImage:
    """An image of a few files."""

    name: str
    """Full name with tag; an honest local one, never that of an image that it is not."""
    files: Mapping[str, Path | str]
    """Path in the image → file to copy, or text."""
    entrypoint: Sequence[str]
    arguments: Sequence[str] = ()
    user: str = "65534:65534"
    folder: str = "/"
    """The working directory, which the user may write to unless it is the root."""
    environment: Mapping[str, str] = field(default_factory=dict)


def scratch_image(image: ScratchImage) -> Path:
    """Return an OCI archive of the image, made anew only when a file in it has changed."""
    files = _with_basics(image)
    digest = hashlib.sha256(repr((image.name, _configuration(image), image.folder)).encode())
    for path, content in sorted(files.items()):
        digest.update(f"{path} {_digest(content)}\n".encode())
    folder = cache_root() / "images"
    folder.mkdir(parents=True, exist_ok=True)
    label = image.name.rpartition("/")[2].replace(":", "-")
    archive = folder / f"{label}-{digest.hexdigest()[:12]}.tar"
    if not archive.exists():
        with locked(folder / ".lock"):
            temporary = archive.with_name(f".{archive.name}")
            _write_archive(temporary, image, files)
            temporary.replace(archive)
    return archive


def archive_images(archive: Path) -> dict[str, str]:
    """Return the names in an archive and the digest of each, where the archive says it."""
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.name.removeprefix("./") not in ("index.json", "manifest.json"):
                continue
            content = tar.extractfile(member)
            assert content is not None
            names = _listed_names(json.load(content))
            if names:
                return names
    return {}


def _listed_names(content: Any) -> dict[str, str]:
    if isinstance(content, list):
        return {tag: "" for image in content for tag in image.get("RepoTags") or ()}
    names = {}
    for manifest in content.get("manifests", ()):
        annotations = manifest.get("annotations") or {}
        name = annotations.get("io.containerd.image.name")
        name = name or annotations.get("org.opencontainers.image.ref.name")
        if name:
            names[name] = manifest["digest"]
    return names


def _with_basics(image: ScratchImage) -> dict[str, Path | str]:
    files: dict[str, Path | str] = {"/etc/passwd": _ACCOUNTS, "/etc/group": _GROUPS}
    if _CA_BUNDLE.exists():
        files["/etc/ssl/certs/ca-certificates.crt"] = _CA_BUNDLE
    return files | dict(image.files)


def _digest(content: Path | str) -> str:
    if isinstance(content, str):
        return hashlib.sha256(content.encode()).hexdigest()
    with content.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _configuration(image: ScratchImage) -> dict[str, Any]:
    return {
        "User": image.user,
        "Entrypoint": list(image.entrypoint),
        "Cmd": list(image.arguments),
        "WorkingDir": image.folder,
        "Env": ["PATH=/bin", *(f"{name}={value}" for name, value in image.environment.items())],
    }


def _write_archive(archive: Path, image: ScratchImage, files: Mapping[str, Path | str]) -> None:
    layer = archive.with_suffix(".layer")
    _write_layer(layer, image, files)
    layer_digest = f"sha256:{_digest(layer)}"
    config = {
        "architecture": _architecture(),
        "os": "linux",
        "config": _configuration(image),
        "rootfs": {"type": "layers", "diff_ids": [layer_digest]},
    }
    config_blob = json.dumps(config).encode()
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{_TYPES}.manifest.v1+json",
        "config": _descriptor(f"{_TYPES}.config.v1+json", config_blob),
        "layers": [
            {
                "mediaType": f"{_TYPES}.layer.v1.tar",
                "digest": layer_digest,
                "size": layer.stat().st_size,
            },
        ],
    }
    manifest_blob = json.dumps(manifest).encode()
    entry = _descriptor(f"{_TYPES}.manifest.v1+json", manifest_blob)
    entry["annotations"] = {"io.containerd.image.name": image.name}
    index = {"schemaVersion": 2, "manifests": [entry]}
    with tarfile.open(archive, "w") as tar:
        # The index comes first, so that names are read without going through the layers.
        _add(tar, "index.json", json.dumps(index).encode())
        _add(tar, "oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
        for blob in (config_blob, manifest_blob):
            _add(tar, f"blobs/sha256/{hashlib.sha256(blob).hexdigest()}", blob)
        tar.add(layer, f"blobs/sha256/{layer_digest.removeprefix('sha256:')}")
    layer.unlink()


def _write_layer(layer: Path, image: ScratchImage, files: Mapping[str, Path | str]) -> None:
    owner, _, group = image.user.partition(":")
    with tarfile.open(layer, "w", format=tarfile.PAX_FORMAT) as tar:
        _add_folder(tar, "tmp", mode=0o1777)
        if image.folder != "/":
            _add_folder(
                tar, image.folder.strip("/"), mode=0o755, owner=int(owner), group=int(group)
            )
        for path, content in sorted(files.items()):
            data = content.encode() if isinstance(content, str) else content.read_bytes()
            is_program = isinstance(content, Path) and content.stat().st_mode & 0o100
            _add(tar, path.lstrip("/"), data, mode=0o755 if is_program else 0o644)


def _add(tar: tarfile.TarFile, name: str, data: bytes, *, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    entry.mode = mode
    tar.addfile(entry, io.BytesIO(data))


def _add_folder(
    tar: tarfile.TarFile,
    name: str,
    *,
    mode: int,
    owner: int = 0,
    group: int = 0,
) -> None:
    entry = tarfile.TarInfo(name)
    entry.type = tarfile.DIRTYPE
    entry.mode, entry.uid, entry.gid = mode, owner, group
    tar.addfile(entry)


def _descriptor(media_type: str, blob: bytes) -> dict[str, Any]:
    digest = hashlib.sha256(blob).hexdigest()
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(blob)}


def _architecture() -> str:
    return {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
