"""By what a Prometheus that serves HTTPS is trusted, before real servers on this machine."""

import asyncio
import datetime as dt
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from e2e.cluster.certificates import Authority, KeyPair, self_signed
from firewatch.api.conditions import good
from firewatch.api.resource import Key, Object
from firewatch.api.responses import AutoResponseSpec
from firewatch.api.web import WebTlsConfig, find_web_tls
from firewatch.build.names import PROMETHEUS_PORT
from firewatch.cluster.client import Write
from firewatch.cluster.errors import NotFoundError
from firewatch.cluster.kinds import (
    CONFIG_MAP,
    MONITORING_STACK,
    POD,
    SECRET,
    SERVICE,
    STATEFUL_SET,
    Kind,
)
from firewatch.cluster.prometheus import CertificateError, Prometheus, PrometheusError
from firewatch.cluster.trust import Trust, gather_trust, trusting
from firewatch.metrics import Metrics
from firewatch.reconcile.children import Children
from firewatch.reconcile.configuration import confirm_configuration
from firewatch.reconcile.context import Context
from firewatch.reconcile.servers import Server, Servers
from firewatch.reconcile.workloads import LiveWorkload
from firewatch.respond.context import RespondContext
from firewatch.respond.registry import Entry, Registry, Sources, source_key
from firewatch.respond.signals import Kind as SignalKind
from firewatch.respond.signals import judge
from firewatch.respond.source import Sourcing
from firewatch.settings import parse_settings

HOST = "main-prometheus.shop.svc"
CERT = {"secret": {"name": "web", "key": "tls.crt"}}
KEY = {"name": "web", "key": "tls.key"}
CA = {"configMap": {"name": "company", "key": "ca.crt"}}
Objects = list[Object]


@dataclass
class Files:
    """A cluster of objects, kept in memory."""

    objects: dict[tuple[Kind, str], Object] = field(default_factory=dict)
    writes: list[Write] = field(default_factory=list)

    async def get(self, kind: Kind, namespace: str, name: str) -> Object:
        try:
            return self.objects[kind, name]
        except KeyError:
            raise NotFoundError(f"{namespace}/{name}") from None

    async def list(self, *arguments: Any, **options: Any) -> Objects:
        raise NotImplementedError

    async def write(self, write: Write) -> Object:
        self.writes.append(write)
        return {}

    def put_secret(self, text: str) -> None:
        self.objects[SECRET, "web"] = {"data": {"tls.crt": b64encode(text.encode()).decode()}}

    def put_authority(self, text: str) -> None:
        self.objects[CONFIG_MAP, "company"] = {"data": {"ca.crt": text}}


async def trust_in(files: Files, **more: Any) -> Trust:
    tls = WebTlsConfig.model_validate({"cert": CERT, "keySecret": KEY, **more})
    return await gather_trust(files, "shop", tls, tls.server_name or HOST)


async def pinned(pair: KeyPair) -> Trust:
    files = Files()
    files.put_secret(pair.certificate.read_text())
    return await trust_in(files)


async def signed(authority: Authority, **more: Any) -> Trust:
    files = Files()
    files.put_authority(authority.pair.certificate.read_text())
    return await trust_in(files, ca=CA, **more)


async def _answer(request: web.Request) -> web.Response:
    """Answer as Prometheus does, as far as a poll without rules asks it."""
    found: dict[str, Any] = {"groups": []}
    if request.path.endswith("runtimeinfo"):
        found = {"startTime": "2026-01-01T00:00:00Z", "reloadConfigSuccess": True}
    return web.json_response({"status": "success", "data": found})


@asynccontextmanager
async def serving(pair: KeyPair, address: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """Serve HTTPS with a certificate; yield the server's address."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    application = web.Application()
    application.router.add_get("/{path:.*}", _answer)
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        site = web.TCPSite(runner, address, port, ssl_context=context)
        await site.start()
        host, bound = runner.addresses[0][:2]
        yield f"https://{host}:{bound}"
    finally:
        await runner.cleanup()


async def ask(server: KeyPair, trust: Trust | None) -> str:
    """Return what is wrong with a server's certificate; empty if it is believed."""
    # Closing the sockets of TLS takes another turn of the event loop.
    async with serving(server) as url, aiohttp.ClientSession() as session:
        try:
            assert await Prometheus(session, url, trust).reload_succeeded()
        except CertificateError as error:
            return str(error)
        finally:
            await asyncio.sleep(0)
    return ""


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "authority")


@pytest.mark.parametrize("names", [[HOST], ["other.example"]])
async def test_the_very_certificate_is_believed_whatever_its_name(
    tmp_path: Path, names: list[str]
) -> None:
    pair = self_signed(tmp_path, "web", names=names)
    assert await ask(pair, await pinned(pair)) == ""


async def test_the_very_certificate_is_believed_though_its_authority_is_unknown(
    tmp_path: Path, authority: Authority
) -> None:
    pair = authority.issue("web", "web", names=["other.example"])
    assert await ask(pair, await pinned(pair)) == ""
    leaf, issuer = pair.certificate.read_text(), authority.pair.certificate.read_text()
    chained = tmp_path / "chained.crt"
    chained.write_text(f"Bag Attributes: \u00e4\n{leaf}{issuer}")
    assert await ask(KeyPair(chained, pair.key), await pinned(KeyPair(chained, pair.key))) == ""


async def test_no_other_certificate_is_believed(tmp_path: Path, authority: Authority) -> None:
    pair = authority.issue("web", "web", names=[HOST])
    sibling = authority.issue("sibling", "web", names=[HOST])
    forged = self_signed(tmp_path, "forged", names=[HOST])
    trust = await pinned(pair)
    for other in (sibling, forged, authority.pair):
        said = await ask(other, trust)
        assert said.startswith("it does not show the certificate in key tls.crt of Secret web yet")
        assert "within about a minute" in said


async def test_a_renewed_certificate_of_the_same_subject_is_another_one(tmp_path: Path) -> None:
    old = self_signed(tmp_path / "old", "web", names=[HOST])
    new = self_signed(tmp_path / "new", "web", names=[HOST])
    assert "does not show the certificate" in await ask(old, await pinned(new))
    assert await ask(new, await pinned(new)) == ""


async def test_an_authority_is_believed_for_the_name(authority: Authority) -> None:
    pair = authority.issue("web", "web", names=[HOST, "second.example"])
    assert await ask(pair, await signed(authority)) == ""
    assert await ask(pair, await signed(authority, serverName="second.example")) == ""
    said = await ask(pair, await signed(authority, serverName="third.example"))
    assert "not valid for 'third.example'" in said
    assert "set metrics.web.tlsConfig.serverName to a name that it has" in said


async def test_what_another_authority_signed_is_refused(
    tmp_path: Path, authority: Authority
) -> None:
    other = Authority(tmp_path / "other", "authority")
    pair = other.issue("web", "web", names=[HOST])
    said = await ask(pair, await signed(authority))
    assert "no authority in key ca.crt of ConfigMap company" in said
    assert await ask(pair, None) != ""


async def test_an_expired_certificate_is_named_as_such(tmp_path: Path) -> None:
    pair = self_signed(tmp_path, "web", names=[HOST], valid=dt.timedelta(minutes=-1))
    expected = "its certificate is refused: certificate has expired; renew it"
    assert await ask(pair, await pinned(pair)) == expected


async def test_a_server_that_hangs_up_in_the_handshake_does_not_answer(tmp_path: Path) -> None:
    trust = await pinned(self_signed(tmp_path, "web", names=[HOST]))
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    async with server, aiohttp.ClientSession() as session:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(PrometheusError):
            await Prometheus(session, f"https://127.0.0.1:{port}", trust).version()


async def test_what_is_missing_or_no_certificate_is_said_by_every_request(tmp_path: Path) -> None:
    files = Files()
    pair = self_signed(tmp_path, "web", names=[HOST])
    assert await ask(pair, await trust_in(files)) == (
        "key tls.crt of Secret web is missing; create it"
    )
    files.put_secret("nothing of the kind")
    assert await ask(pair, await trust_in(files)) == (
        "key tls.crt of Secret web holds no certificate in PEM form"
    )
    files.put_secret(pair.certificate.read_text())
    assert await ask(pair, await trust_in(files, ca=CA)) == (
        "key ca.crt of ConfigMap company is missing; create it"
    )
    binary = b64encode(pair.certificate.read_bytes()).decode()
    files.objects[CONFIG_MAP, "company"] = {"binaryData": {"ca.crt": binary}}
    assert await ask(pair, await trust_in(files, ca=CA)) == ""


def test_equal_certificates_have_one_context_so_that_connections_are_used_again(
    tmp_path: Path,
) -> None:
    pair = self_signed(tmp_path, "web", names=[HOST])
    text, key = pair.certificate.read_text(), pair.key.read_text()
    context = trusting(text, pinned=True)
    assert context is not None
    assert trusting(f"{key}{text}{text}", pinned=True) is context
    assert trusting(text, pinned=False) is not context


_PARTS = st.sampled_from(["-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----", "\n", "MII="])


@given(st.lists(_PARTS | st.text(max_size=8) | st.from_regex(r"[A-Za-z0-9+/]{4}={0,2}")))
def test_no_text_is_taken_for_a_certificate_or_breaks_the_reading(parts: list[str]) -> None:
    assert trusting("".join(parts), pinned=True) is None
    assert trusting("".join(parts), pinned=False) is None


_NAME = next(
    constraint.pattern
    for constraint in WebTlsConfig.model_fields["server_name"].metadata
    if hasattr(constraint, "pattern")
)


@given(st.from_regex(_NAME, fullmatch=True).filter(lambda name: len(name) <= 253))
def test_every_name_that_a_stack_may_have_can_be_asked_for(name: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname=name)


def test_only_the_part_about_https_is_read_of_a_stack() -> None:
    tls = {"cert": CERT, "keySecret": KEY}
    assert find_web_tls({}) is None
    assert find_web_tls({"spec": {"metrics": {"scrapeInterval": "never"}}}) is None
    found = find_web_tls({"spec": {"metrics": {"web": {"tlsConfig": tls}, "unknown": 1}}})
    assert found == WebTlsConfig.model_validate(tls)


ADDRESS = "127.14.0.1"
SOURCE = source_key("shop", "main")
SPEC: Object = {
    "trigger": {"alert": "LoadHigh"},
    "target": {"name": "api"},
    "actions": [{"scaleUp": {"by": 1, "maxReplicas": 4}}],
}


def sourcing(files: Files, session: aiohttp.ClientSession) -> Sourcing:
    """Return polls of a stack that one AutoResponse listens to."""
    metadata = {
        "name": "scale",
        "namespace": "shop",
        "uid": "u",
        "resourceVersion": "1",
        "creationTimestamp": "2026-01-01T00:00:00Z",
    }
    registry = Registry()
    spec = AutoResponseSpec.model_validate(SPEC)
    accepted = good("Accepted", "Accepted", "understood")
    registry.put(Entry({"metadata": metadata, "spec": SPEC}, spec, accepted, SOURCE))
    now = datetime(2026, 1, 2, tzinfo=UTC)
    context = RespondContext(
        files, parse_settings({}), Metrics(), lambda: now, lambda _: None, registry, Sources()
    )
    return Sourcing(context, session)


async def test_an_alert_source_of_https_is_polled_and_holds_while_its_certificate_changes(
    tmp_path: Path,
) -> None:
    old = self_signed(tmp_path, "old", names=[HOST])
    new = self_signed(tmp_path, "new", names=[HOST])
    files = Files()
    files.put_secret(old.certificate.read_text())
    files.objects[SERVICE, "main-prometheus"] = {"spec": {"clusterIP": ADDRESS}}
    stack: Object = {"spec": {"metrics": {"web": {"tlsConfig": {"cert": CERT, "keySecret": KEY}}}}}
    files.objects[MONITORING_STACK, "main"] = stack

    async def poll() -> str:
        await polls.poll(Key(SOURCE.kind, SOURCE.namespace, SOURCE.name))
        state = polls.context.sources.get(SOURCE).state
        assert state is not None
        return state.error

    async with aiohttp.ClientSession() as session:
        polls = sourcing(files, session)
        async with serving(old, ADDRESS, PROMETHEUS_PORT):
            assert await poll() == ""
            files.put_secret(new.certificate.read_text())
            assert "does not show the certificate in key tls.crt of Secret web yet" in await poll()
            trigger = AutoResponseSpec.model_validate(SPEC).trigger
            signal = judge(trigger, polls.context.sources.get(SOURCE), polls.context.clock())
            assert (signal.kind, signal.reason) == (SignalKind.HOLD, "SourceUnreachable")
        async with serving(new, ADDRESS, PROMETHEUS_PORT):
            assert await poll() == ""
            # Never by HTTP to a server of HTTPS, nor the other way round.
            stack["spec"]["metrics"] = {}
            assert await poll() != ""
            stack["spec"]["metrics"] = {"web": {"tlsConfig": {"cert": CERT}}}
            assert await poll() == "MonitoringStack main is not understood; see its status"


START = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("form", "after", "reason"),
    [
        ("new", 0.0, "CertificateChanging"),
        ("new", 9.0, "NoAnswer"),
        ("old", 0.0, "CertificateChanging"),
        ("old", 9.0, "Renewing"),
    ],
)
async def test_a_pod_that_shows_another_certificate_is_nudged_and_the_stack_says_why(
    tmp_path: Path, form: str, after: float, reason: str
) -> None:
    old = self_signed(tmp_path, "old", names=[HOST])
    trust = await pinned(self_signed(tmp_path, "new", names=[HOST]))
    labels = {"controller-revision-hash": form}
    metadata = {"name": "main-prometheus-0", "namespace": "shop", "uid": "p", "labels": labels}
    status = {"updateRevision": "new", "observedGeneration": 1}
    stateful_set = {"metadata": {"name": "main-prometheus", "generation": 1}, "status": status}
    made = Children([LiveWorkload(STATEFUL_SET, stateful_set)], revision="r")
    now = [START]
    files = Files()
    async with serving(old) as url, aiohttp.ClientSession() as session:
        server = Server({"metadata": metadata}, Prometheus(session, url, trust))
        context = Context(
            files, session, parse_settings({}), Metrics(), lambda: now[0], lambda _: None
        )
        key = Key(MONITORING_STACK.kind, "shop", "main")
        for moment in (0.0, after):
            now[0] = START + dt.timedelta(seconds=moment)
            found = await confirm_configuration(
                context,
                key,
                made=made,
                servers=Servers([{"metadata": metadata}], [server]),
                confirmed="r",
            )
        await asyncio.sleep(0)
    assert found is not None
    assert found.reason == reason
    assert (reason == "Renewing") is ("does not show the certificate" not in found.message)
    assert {write.kind for write in files.writes} == {POD}
