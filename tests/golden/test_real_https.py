"""A real Prometheus that serves HTTPS as built, the operator's client before it, and a rotation."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from e2e.cluster import binaries
from e2e.cluster.certificates import Authority, KeyPair, self_signed
from e2e.cluster.progress import SilentProgress
from firewatch.api.resource import Object
from firewatch.api.stack import MonitoringStackSpec
from firewatch.build import names
from firewatch.build.objects import Stack
from firewatch.build.stack import build_stack
from firewatch.build.surroundings import Surroundings
from firewatch.build.web import prometheus_url
from firewatch.cluster.prometheus import CertificateError, Prometheus, PrometheusError
from firewatch.cluster.trust import Trust, trusting
from firewatch.reconcile.last_good import starts_in_vain
from firewatch.reconcile.targets import job_row
from firewatch.reconcile.web import explain_self_scrape
from tests.golden.test_real_prometheus import ETC, free_port, until

HOST = "main-prometheus.shop.svc"
CERT = {"secret": {"name": "web", "key": "tls.crt"}}
KEY = {"name": "web", "key": "tls.key"}
CA = {"configMap": {"name": "company", "key": "ca.crt"}}


@dataclass(frozen=True)
class Pod:
    """A folder that stands for /etc/prometheus in a pod, and the address of the server in it."""

    etc: Path
    port: int
    stack: Stack

    def objects(self) -> list[Object]:
        return build_stack(self.stack, Surroundings("127.0.0.1:1"))

    def configure(self) -> None:
        """Write the files of the ConfigMap, as for this folder and port."""
        (config,) = (item for item in self.objects() if item["kind"] == "ConfigMap")
        (self.etc / "rules").mkdir()
        own = f"localhost:{names.PROMETHEUS_PORT}"
        for name, text in config["data"].items():
            here = text.replace(ETC, str(self.etc)).replace(own, f"localhost:{self.port}")
            self.write(f"config/{name}", here)

    def show(self, pair: KeyPair) -> None:
        """Put a certificate and its key where kubelet would."""
        self.write("files/secret/web/tls.key", pair.key.read_text())
        self.write("files/secret/web/tls.crt", pair.certificate.read_text())

    def write(self, name: str, text: str) -> None:
        path = self.etc / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_suffix(".new").write_text(text)
        path.with_suffix(".new").rename(path)

    def arguments(self) -> list[str]:
        (found,) = (item for item in self.objects() if item["kind"] == "StatefulSet")
        (container,) = found["spec"]["template"]["spec"]["containers"]
        own = ("--storage.tsdb.path", "--web.listen-address")
        return [
            *(
                arg.replace(ETC, str(self.etc))
                for arg in container["args"]
                if not arg.startswith(own)
            ),
            f"--storage.tsdb.path={self.etc / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
        ]

    def api(self, session: aiohttp.ClientSession, trust: Trust) -> Prometheus:
        return Prometheus(session, f"https://127.0.0.1:{self.port}", trust)


def pod(folder: Path, **tls: Any) -> Pod:
    web = {"tlsConfig": {"cert": CERT, "keySecret": KEY, **tls}}
    spec = MonitoringStackSpec.model_validate({"metrics": {"web": web, "scrapeInterval": "1s"}})
    made = Pod(folder / "etc", free_port(), Stack("shop", "main", "u", spec))
    made.etc.mkdir()
    made.configure()
    return made


@asynccontextmanager
async def started(made: Pod) -> AsyncIterator[asyncio.subprocess.Process]:
    program = binaries.ensure(["prometheus"], SilentProgress()) / "prometheus"
    with (made.etc / "log").open("w") as log:
        process = await asyncio.create_subprocess_exec(
            program, *made.arguments(), stdout=log, stderr=log
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()


def pin(pair: KeyPair) -> Trust:
    return Trust("the Secret", HOST, True, trusting(pair.certificate.read_text(), pinned=True))


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    shutil.rmtree(tmp_path, ignore_errors=True)


async def test_a_certificate_is_pinned_and_its_successor_served_without_a_restart(
    folder: Path,
) -> None:
    made = pod(folder)
    first, second, misnamed = (
        self_signed(folder, name, names=[host])
        for name, host in (("first", HOST), ("second", HOST), ("third", "other.example"))
    )
    made.show(first)
    async with started(made), aiohttp.ClientSession() as session:
        api = made.api(session, pin(first))
        await until(api.version, seconds=20)
        assert await api.reload_succeeded()
        assert prometheus_url(made.stack).startswith("https://")
        with pytest.raises(PrometheusError):
            await Prometheus(session, f"http://127.0.0.1:{made.port}").version()
        with pytest.raises(CertificateError, match="does not show the certificate"):
            await made.api(session, pin(second)).version()

        async def is_up() -> bool:
            return await api.value('up{job="prometheus"}') == 1

        await until(is_up)
        since = await api.started_at()
        made.show(second)
        api = made.api(session, pin(second))
        await until(api.version, seconds=5)
        assert await api.started_at() == since
        await until(is_up)

        made.show(misnamed)
        api = made.api(session, pin(misnamed))

        async def is_down() -> bool:
            return await api.value('up{job="prometheus"}') == 0

        await until(is_down)
        row = job_row("prometheus", 1, 0, down=await api.targets("prometheus"), before=None)
        (finding,) = explain_self_scrape(made.stack, [row])
        assert f"certificate is valid for other.example, not {HOST}" in finding.message


async def test_an_authority_is_trusted_for_the_name(folder: Path) -> None:
    made = pod(folder, ca=CA, serverName="metrics.example", minVersion="TLS13")
    authority = Authority(folder, "authority")
    text = authority.pair.certificate.read_text()
    made.write("files/configMap/company/ca.crt", text)
    made.show(authority.issue("web", "web", names=["metrics.example"]))
    context = trusting(text, pinned=False)
    async with started(made), aiohttp.ClientSession() as session:
        api = made.api(session, Trust("the ConfigMap", "metrics.example", context=context))
        await until(api.version, seconds=20)

        async def is_up() -> bool:
            return await api.value('up{job="prometheus"}') == 1

        await until(is_up)
        with pytest.raises(CertificateError, match=f"not valid for '{HOST}'"):
            await made.api(session, Trust("the ConfigMap", HOST, context=context)).version()


@pytest.mark.parametrize("content", [None, "no certificate"])
async def test_without_its_certificate_prometheus_does_not_start_and_its_configuration_is_not_blamed(
    folder: Path, content: str | None
) -> None:
    made = pod(folder)
    if content:
        made.write("files/secret/web/tls.crt", content)
        made.write("files/secret/web/tls.key", content)
    async with started(made) as process:
        code = await asyncio.wait_for(process.wait(), timeout=20)
    ended: Mapping[str, Any] = {"terminated": {"exitCode": code}}
    status = {"containerStatuses": [{"ready": False, "lastState": ended}]}
    assert code != 0
    assert not starts_in_vain([{"status": status}])
