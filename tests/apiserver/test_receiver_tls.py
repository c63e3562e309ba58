"""The receiver over HTTPS, in the operator's own process: what is sent arrives, also after a renewal."""

import asyncio
import json
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from e2e.cluster.certificates import Authority, KeyPair
from e2e.cluster.controlplane import ControlPlane
from e2e.kubectl import wait_for
from firewatch.cluster.client import KubernetesCluster
from firewatch.cluster.kinds import DEPLOYMENT, SECRET
from firewatch.respond.relay import ClientTls, Relay
from tests.apiserver.conftest import Kubectl
from tests.apiserver.deployed import OperatorProcess, operator_process
from tests.apiserver.episodes import Episodes
from tests.apiserver.webhooks import SOURCE, TOKEN, message

pytestmark = pytest.mark.usefixtures("crds")


def mount(folder: Path, pair: KeyPair, authority: Authority) -> None:
    """Put a pair where the operator looks for it, the certificate last."""
    folder.mkdir(exist_ok=True)
    files = {
        "ca.crt": authority.pair.certificate,
        "tls.key": pair.key,
        "tls.crt": pair.certificate,
    }
    for name, source in files.items():
        new = folder / f".{name}"
        new.write_bytes(source.read_bytes())
        new.rename(folder / name)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "pki", "ca")


def issue(authority: Authority, name: str) -> KeyPair:
    return authority.issue(name, name, names=["localhost"], addresses=["127.0.0.1"])


@pytest.fixture
def operator(
    control_plane: ControlPlane, tmp_path: Path, authority: Authority, namespace: str
) -> Iterator[OperatorProcess]:
    """Run the operator with a certificate, its Lease in the test's namespace."""
    folder = tmp_path / "mount"
    mount(folder, issue(authority, "one"), authority)
    settings = {
        "FIREWATCH_RECEIVER_TLS": str(folder),
        "FIREWATCH_NAMESPACE": namespace,
        "FIREWATCH_SOURCE_NAMESPACES": namespace,
        "FIREWATCH_STACK_NAMESPACES": namespace,
        "FIREWATCH_TARGET_NAMESPACES": namespace,
    }
    with operator_process(control_plane.kubeconfig, tmp_path, settings) as process:
        process.wait_working()
        yield process


@pytest_asyncio.fixture
async def episodes(cluster: KubernetesCluster, namespace: str) -> AsyncIterator[Episodes]:
    """Provide a target, and a response that goes by webhooks."""
    found = Episodes(cluster, namespace)
    await found.workload(DEPLOYMENT)
    await found.create(SECRET, "webhook", data={"token": b64encode(TOKEN.encode()).decode()})
    await found.response(source=SOURCE)
    yield found


def client(authority: Authority) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(authority.pair.certificate))


async def send(
    operator: OperatorProcess, namespace: str, context: ssl.SSLContext, *, token: str = TOKEN
) -> int:
    """Send that the alert fires, as an Alertmanager that trusts an authority."""
    url = f"https://127.0.0.1:{operator.receiver}/webhook/{namespace}"
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, json=message("firing"), headers=headers, ssl=context) as answer,
    ):
        return answer.status


async def send_until(
    operator: OperatorProcess, episodes: Episodes, context: ssl.SSLContext
) -> None:
    """Send it until it is taken, once the AutoResponse is known: before, the token would be refused,
    and that is remembered for a while.
    """
    async with asyncio.timeout(60):
        while "observedGeneration" not in await episodes.status():
            await asyncio.sleep(0.2)
        while await send(operator, episodes.namespace, context) != 200:
            await asyncio.sleep(0.2)


async def test_a_webhook_by_https_is_acted_on(
    operator: OperatorProcess, episodes: Episodes, authority: Authority
) -> None:
    await send_until(operator, episodes, client(authority))
    assert (await episodes.spec(DEPLOYMENT))["replicas"] == 4, await episodes.status()
    assert await send(operator, episodes.namespace, client(authority), token="x") == 401


async def test_plain_http_is_not_answered(operator: OperatorProcess, namespace: str) -> None:
    url = f"http://127.0.0.1:{operator.receiver}/webhook/{namespace}"
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientError):
            await session.post(url, json=message("firing"))


async def shown(operator: OperatorProcess) -> bytes:
    """Return the certificate that a new connection gets."""
    anybody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    anybody.check_hostname = False
    anybody.verify_mode = ssl.CERT_NONE
    _, writer = await asyncio.open_connection("127.0.0.1", operator.receiver, ssl=anybody)
    found: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return found


async def test_a_renewed_certificate_is_used_without_a_restart(
    operator: OperatorProcess, episodes: Episodes, authority: Authority, tmp_path: Path
) -> None:
    await send_until(operator, episodes, client(authority))
    before = await shown(operator)
    other = Authority(tmp_path / "other", "ca")
    mount(tmp_path / "mount", issue(other, "two"), other)
    async with asyncio.timeout(30):
        while await shown(operator) == before:
            await asyncio.sleep(0.2)
    assert await send(operator, episodes.namespace, client(other)) == 200
    with pytest.raises(aiohttp.ClientConnectorCertificateError):
        await send(operator, episodes.namespace, client(authority))
    assert operator.process.poll() is None


async def test_the_stacks_prometheus_is_told_by_which_authority_it_knows_the_receiver(
    operator: OperatorProcess,
    kubectl: Kubectl,
    namespace: str,
    authority: Authority,
    tmp_path: Path,
) -> None:
    stack = {
        "apiVersion": "monitoring.freeagentics.io/v1alpha1",
        "kind": "MonitoringStack",
        "metadata": {"name": "main", "namespace": namespace},
        "spec": {"metrics": {}},
    }
    kubectl("apply", "-f", "-", text=json.dumps(stack))
    other = Authority(tmp_path / "other", "ca")

    def knows(who: Authority) -> bool:
        found = json.loads(kubectl("-n", namespace, "get", "configmaps,secrets", "-o", "json"))
        text = who.pair.certificate.read_text().splitlines()[1]
        return any(text in value for each in found["items"] for value in _values(each))

    await asyncio.to_thread(wait_for, "the authority to be known", lambda: knows(authority))
    mount(tmp_path / "mount", issue(other, "two"), other)
    await asyncio.to_thread(wait_for, "the new authority to be known", lambda: knows(other))
    kubectl("-n", namespace, "delete", "mstack/main")
    assert operator.process.poll() is None


def _values(live: dict[str, dict[str, str]]) -> list[str]:
    return [*(live.get("data") or {}).values()]


@pytest.mark.parametrize("trusts", [True, False])
async def test_a_replica_hands_on_by_https(
    operator: OperatorProcess,
    episodes: Episodes,
    authority: Authority,
    tmp_path: Path,
    *,
    trusts: bool,
) -> None:
    await send_until(operator, episodes, client(authority))
    who = authority if trusts else Authority(tmp_path / "other", "ca")
    async with aiohttp.ClientSession() as session:
        relay = Relay(
            session,
            leads=lambda: False,
            leader=lambda: f"127.0.0.1:{operator.receiver}",
            tls=lambda: ClientTls(client(who), "localhost"),
        )
        body = json.dumps(message("firing")).encode()
        verdict = await relay.send(episodes.namespace, TOKEN, body)
    assert verdict.status == (200 if trusts else 503)


async def test_nothing_is_handed_on_to_whom_nobody_can_trust() -> None:
    async with aiohttp.ClientSession() as session:
        relay = Relay(
            session,
            leads=lambda: False,
            leader=lambda: "127.0.0.1:9",
            tls=lambda: ClientTls(None, "localhost"),
        )
        verdict = await relay.send("shop", TOKEN, b"{}")
    assert (verdict.status, verdict.text) == (503, "the replica that leads cannot be trusted yet")
