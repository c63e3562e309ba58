"""The receiver's certificate: followed as its files change, the last good pair kept, never HTTP."""

import asyncio
import logging
import shutil
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from e2e.cluster.certificates import Authority, KeyPair
from firewatch.metrics import Metrics
from firewatch.respond.certificate import ServingCertificate

NAME = "firewatch-receiver.firewatch.svc"


class Mount:
    """A folder in which a Secret is mounted, as the kubelet does it: all files change at once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._versions = 0

    def put(self, **files: bytes) -> None:
        """Replace all files; names have underscores for dots."""
        self._versions += 1
        place = self.folder / f"..{self._versions}"
        place.mkdir(parents=True)
        for name, content in files.items():
            (place / name.replace("_", ".")).write_bytes(content)
        link = self.folder / "..data_tmp"
        link.symlink_to(place.name)
        link.rename(self.folder / "..data")
        for name in files:
            outside = self.folder / name.replace("_", ".")
            if not outside.is_symlink():
                outside.symlink_to(f"..data/{outside.name}")

    def put_pair(self, pair: KeyPair, authority: Authority | None) -> None:
        """Mount a pair and, if there is one, who has signed it."""
        more = {"ca_crt": authority.pair.certificate.read_bytes()} if authority else {}
        self.put(tls_crt=pair.certificate.read_bytes(), tls_key=pair.key.read_bytes(), **more)

    def take_away(self) -> None:
        """Mount a Secret that is not there."""
        shutil.rmtree(self.folder)
        self.folder.mkdir()


@pytest.fixture
def mount(tmp_path: Path) -> Mount:
    folder = tmp_path / "mount"
    folder.mkdir()
    return Mount(folder)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "pki", "ca")


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def changes() -> list[str]:
    return []


@pytest.fixture
def serving(mount: Mount, metrics: Metrics, changes: list[str]) -> ServingCertificate:
    return ServingCertificate(mount.folder, metrics.alerts, changed=lambda: changes.append("x"))


@pytest_asyncio.fixture
async def port(serving: ServingCertificate) -> AsyncIterator[int]:
    """Listen with the certificate, and answer everybody."""

    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=serving.context)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def shown(port: int, context: ssl.SSLContext | None, name: str | None = NAME) -> bytes:
    """Connect as a client that trusts a context; return the certificate that is shown."""
    assert context is not None
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=context, server_hostname=name
    )
    assert await reader.read() == b"hello"
    connection = writer.get_extra_info("ssl_object")
    writer.close()
    found: bytes = connection.getpeercert(binary_form=True)
    return found


def der(pair: KeyPair) -> bytes:
    return ssl.PEM_cert_to_DER_cert(pair.certificate.read_text())


def usable(metrics: Metrics) -> float | None:
    return metrics.registry.get_sample_value("firewatch_receiver_certificate_usable")


async def test_each_new_connection_has_the_present_certificate(
    mount: Mount,
    authority: Authority,
    serving: ServingCertificate,
    port: int,
    changes: list[str],
) -> None:
    first, second = (authority.issue(name, name, names=[NAME]) for name in ("one", "two"))
    mount.put_pair(first, authority)
    serving.refresh()
    assert await shown(port, serving.authority.context()) == der(first)
    mount.put_pair(second, authority)
    serving.refresh()
    assert await shown(port, serving.authority.context()) == der(second)
    assert changes == ["x"], "whoever knows the authority need not hear of it"


async def test_a_connection_that_stands_outlives_a_renewal(
    mount: Mount, authority: Authority, serving: ServingCertificate
) -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(line)
        writer.close()

    mount.put_pair(authority.issue("one", "one", names=[NAME]), authority)
    serving.refresh()
    async with await asyncio.start_server(echo, "127.0.0.1", 0, ssl=serving.context) as server:
        reader, writer = await asyncio.open_connection(
            *server.sockets[0].getsockname(),
            ssl=serving.authority.context(),
            server_hostname=NAME,
        )
        mount.put_pair(authority.issue("two", "two", names=[NAME]), authority)
        serving.refresh()
        writer.write(b"still there\n")
        assert await reader.readline() == b"still there\n"
        writer.close()


async def test_another_authority_is_told_and_believed(
    mount: Mount,
    authority: Authority,
    serving: ServingCertificate,
    port: int,
    *,
    changes: list[str],
    tmp_path: Path,
) -> None:
    mount.put_pair(authority.issue("one", "one", names=[NAME]), authority)
    serving.refresh()
    before = serving.authority.context()
    other = Authority(tmp_path / "other", "ca")
    pair = other.issue("one", "one", names=[NAME])
    mount.put_pair(pair, other)
    serving.refresh()
    assert changes == ["x", "x"]
    with pytest.raises(ssl.SSLCertVerificationError):
        await shown(port, before)
    assert await shown(port, serving.authority.context()) == der(pair)


async def test_without_an_authority_the_certificate_itself_is_trusted(
    mount: Mount, authority: Authority, serving: ServingCertificate, port: int
) -> None:
    pair = authority.issue("one", "one", names=["elsewhere.example"])
    mount.put_pair(pair, None)
    serving.refresh()
    assert serving.authority.pinned
    assert await shown(port, serving.authority.context()) == der(pair)


async def test_a_client_that_names_nobody_is_served_too(
    mount: Mount, authority: Authority, serving: ServingCertificate, port: int
) -> None:
    pair = authority.issue("one", "one", names=[NAME])
    mount.put_pair(pair, authority)
    serving.refresh()
    anybody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    anybody.check_hostname = False
    anybody.verify_mode = ssl.CERT_NONE
    assert await shown(port, anybody, "") == der(pair)


async def test_old_versions_of_tls_are_refused(
    mount: Mount, authority: Authority, serving: ServingCertificate, port: int
) -> None:
    mount.put_pair(authority.issue("one", "one", names=[NAME]), authority)
    serving.refresh()
    assert serving.context.minimum_version is ssl.TLSVersion.TLSv1_2
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        client = ssl.create_default_context(cafile=str(authority.pair.certificate))
        client.minimum_version = client.maximum_version = version
        await shown(port, client)


def encrypted(pair: KeyPair) -> bytes:
    key = serialization.load_pem_private_key(pair.key.read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ("nothing", "tls.crt is missing or empty"),
        ("no key", "tls.key is missing or empty"),
        ("garbage", "not in PEM form"),
        ("another key", "tls.key is not the key of tls.crt"),
        ("a passphrase", "has a passphrase"),
    ],
)
async def test_the_last_good_pair_is_kept_and_the_reason_said(
    mount: Mount,
    authority: Authority,
    serving: ServingCertificate,
    metrics: Metrics,
    port: int,
    *,
    caplog: pytest.LogCaptureFixture,
    bad: str,
    said: str,
) -> None:
    good, other = (authority.issue(name, name, names=[NAME]) for name in ("one", "two"))
    certificate, key = good.certificate.read_bytes(), good.key.read_bytes()
    mount.put_pair(good, authority)
    serving.refresh()
    assert usable(metrics) == 1
    match bad:
        case "nothing":
            mount.take_away()
        case "no key":
            mount.put(tls_crt=certificate)
        case "garbage":
            mount.put(tls_crt=b"garbage", tls_key=key)
        case "another key":
            mount.put(tls_crt=certificate, tls_key=other.key.read_bytes())
        case _:
            mount.put(tls_crt=certificate, tls_key=encrypted(good))
    caplog.clear()
    serving.refresh()
    serving.refresh()
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert said in record.message
    assert "the last good one goes on being used" in record.message
    assert usable(metrics) == 0
    assert await shown(port, serving.authority.context()) == der(good)
    mount.put_pair(other, authority)
    serving.refresh()
    assert usable(metrics) == 1
    assert await shown(port, serving.authority.context()) == der(other)


@pytest.fixture
def listening(serving: ServingCertificate, caplog: pytest.LogCaptureFixture) -> None:
    serving.refresh()
    assert "nobody can connect" in caplog.text


@pytest.mark.usefixtures("listening")
async def test_without_any_pair_nobody_is_served(
    mount: Mount, authority: Authority, serving: ServingCertificate, port: int
) -> None:
    assert serving.authority.context() is None
    client = ssl.create_default_context(cafile=str(authority.pair.certificate))
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await shown(port, client)
    mount.put_pair(authority.issue("one", "one", names=[NAME]), authority)
    serving.refresh()
    await shown(port, client)
