"""Real Alertmanagers on this machine, fed with what is built, and what they send."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from e2e.cluster import programs
from e2e.cluster.progress import SilentProgress
from e2e.messages import EMAIL, PAGERDUTY, SLACK, WEBHOOK, Message, Recorder, record
from firewatch.api.alerting import SelfTestStatus
from firewatch.api.stack import MonitoringStackSpec
from firewatch.build import names
from firewatch.build.alertmanager import build_alertmanager
from firewatch.build.alertmanager_config import (
    Notifications,
    config_revision,
    render_notifications,
)
from firewatch.build.notifying import Contents, Sources
from firewatch.build.objects import Stack
from firewatch.cluster.alertmanager import Alertmanager, AlertmanagerError, ReloadRefusedError
from firewatch.reconcile.deliveries import Deliveries
from firewatch.reconcile.self_tests import SelfTests, verified
from firewatch.reconcile.tellers import Teller
from tests.golden.test_real_prometheus import free_port

Data = dict[str, Any]
FOLDER = names.ALERTMANAGER_CONFIG_DIRECTORY


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    with record("127.0.0.1") as found:
        yield found


def alerting(recorder: Recorder, **changes: Any) -> Data:
    """Return the runbook's receivers and routes, led to the recorder."""
    return {
        "smtp": {"smarthost": recorder.smarthost, "from": "alerts@a.example", "requireTls": False},
        "templates": [
            {"name": "t", "content": '{{ define "t" }}{{ .CommonLabels.alertname }}!{{ end }}'}
        ],
        "receivers": [
            {"name": "hook", "webhook": [{"url": recorder.webhook_url}]},
            {
                "name": "pager",
                "pagerduty": [
                    {
                        "routingKey": {"name": "keys", "key": "pager"},
                        "url": recorder.pagerduty_url,
                        "description": "{{ range .Alerts }}{{ .Annotations.description }}{{ end }}",
                    }
                ],
            },
            {
                "name": "chat",
                "slack": [
                    {
                        "apiUrl": {"name": "keys", "key": "chat"},
                        "channel": "#alerts",
                        "title": '{{ template "t" . }}',
                    }
                ],
                "email": [{"to": "you@a.example", "text": "{{ .CommonAnnotations.description }}"}],
            },
        ],
        "route": {
            "receiver": "hook",
            "groupBy": ["alertname"],
            "groupWait": "0s",
            "groupInterval": "1s",
            "repeatInterval": "1h",
            "routes": [
                {"matchers": ["severity=critical"], "receiver": "pager"},
                {"matchers": ["severity=warning"], "receiver": "chat"},
            ],
        },
        **changes,
    }


def render(block: Data, recorder: Recorder, *, version: str = "1") -> Notifications:
    spec = MonitoringStackSpec.model_validate({"alerting": block})
    assert spec.alerting
    keys = {"pager": b"routing-key-1\n", "chat": recorder.slack_url.encode()}
    sources = Sources(secrets={("shop", "keys"): Contents(version, keys)})
    return render_notifications(Stack("shop", "main", "u", spec), spec.alerting, sources)


@dataclass(frozen=True)
class Running:
    """An Alertmanager, and the folder that stands for its Secret."""

    folder: Path
    api: Alertmanager

    def write(self, told: Notifications) -> str:
        """Put the files where kubelet would; return their revision."""
        for name, content in told.files.items():
            (self.folder / name).write_bytes(content)
        self.write_config(told.config)
        return told.revision

    def write_config(self, text: str) -> None:
        (self.folder / names.ALERTMANAGER_CONFIG_KEY).write_text(
            text.replace(f"{FOLDER}/credential", f"{self.folder}/credential").replace(
                f"{FOLDER}/template", f"{self.folder}/template"
            )
        )

    async def revision(self) -> str | None:
        return config_revision((await self.api.state()).configuration)

    async def fire(self, **labels: str) -> None:
        annotations = {"description": f"{labels.get('alertname')} has a description"}
        body = [{"labels": labels, "annotations": annotations}]
        async with self.api.session.post(f"{self.api.url}/api/v2/alerts", json=body) as answer:
            assert answer.status == 200, await answer.text()


async def until(what: Callable[[], Any], *, seconds: float = 20) -> Any:
    """Wait until something is there; return it."""
    async with asyncio.timeout(seconds):
        while True:
            found = what()
            if isinstance(found, Awaitable):
                found = await found
            if found:
                return found
            await asyncio.sleep(0.05)


@asynccontextmanager
async def running(folder: Path, told: Notifications, *arguments: str) -> AsyncIterator[Running]:
    program = programs.program("alertmanager", SilentProgress())
    port = free_port()
    async with aiohttp.ClientSession() as session:
        found = Running(folder, Alertmanager(session, f"http://127.0.0.1:{port}"))
        found.write(told)
        with (folder / "log").open("w") as log:
            process = await asyncio.create_subprocess_exec(
                program,
                f"--config.file={folder / names.ALERTMANAGER_CONFIG_KEY}",
                f"--storage.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
                *(arguments or ("--cluster.listen-address=",)),
                "--enable-feature=receiver-name-in-metrics",
                stdout=log,
                stderr=log,
            )
            try:
                await until(lambda: _answers(found))
                yield found
            finally:
                process.terminate()
                await process.wait()


async def _answers(found: Running) -> bool:
    try:
        await found.api.state()
    except AlertmanagerError:
        return False
    return True


@pytest_asyncio.fixture
async def server(tmp_path: Path, recorder: Recorder) -> AsyncIterator[Running]:
    async with running(tmp_path, render(alerting(recorder), recorder)) as found:
        yield found


async def arrived(recorder: Recorder, channel: str, word: str = "") -> Message:
    messages: list[Message] = await until(lambda: recorder.messages(channel, word))
    return messages[0]


async def test_each_receiver_is_told_what_it_should_be(server: Running, recorder: Recorder) -> None:
    await server.fire(alertname="Disk", severity="critical")
    await server.fire(alertname="Cpu", severity="warning")
    await server.fire(alertname="Other")
    page = (await arrived(recorder, PAGERDUTY)).content
    assert page["routing_key"] == "routing-key-1"
    assert page["payload"]["summary"] == "Disk has a description"
    chat = (await arrived(recorder, SLACK)).content
    assert (chat["channel"], chat["attachments"][0]["title"]) == ("#alerts", "Cpu!")
    mail = (await arrived(recorder, EMAIL)).content
    assert (mail["from"], mail["to"]) == ("alerts@a.example", ["you@a.example"])
    assert "Cpu has a description" in mail["body"]
    hook = (await arrived(recorder, WEBHOOK)).content
    assert [alert["labels"]["alertname"] for alert in hook["alerts"]] == ["Other"]
    assert len(recorder.messages()) == 4


async def test_what_is_worse_mutes_what_is_less_bad_of_the_same_name_and_namespace(
    server: Running, recorder: Recorder
) -> None:
    await server.fire(alertname="Disk", severity="critical", namespace="a")
    await arrived(recorder, PAGERDUTY)
    await server.fire(alertname="Disk", severity="warning", namespace="a")
    await server.fire(alertname="Disk", severity="warning", namespace="b")
    message = await arrived(recorder, SLACK)
    await arrived(recorder, EMAIL)
    assert message.content["attachments"][0]["title"] == "Disk!"
    assert len(recorder.messages(SLACK)) == 1


async def test_a_change_is_loaded_and_shows_its_revision(
    server: Running, recorder: Recorder
) -> None:
    first = render(alerting(recorder), recorder)
    assert await server.revision() == first.revision
    block = alerting(recorder)
    block["route"] = {"receiver": "hook", "groupWait": "0s"}
    revision = server.write(render(block, recorder))
    assert await server.revision() == first.revision != revision
    await server.api.reload()
    assert await server.revision() == revision
    await server.fire(alertname="Disk", severity="critical")
    assert "Disk" in (await arrived(recorder, WEBHOOK)).text


async def test_a_rotated_secret_is_followed_without_a_restart(
    server: Running, recorder: Recorder
) -> None:
    with record("127.0.0.1") as other:
        told = render(alerting(recorder), other, version="2")
        revision = server.write(told)
        await server.api.reload()
        assert await server.revision() == revision
        await server.fire(alertname="Cpu", severity="warning")
        await arrived(other, SLACK)
    assert recorder.messages(SLACK) == []


async def test_a_refused_configuration_leaves_the_last_one_running(
    server: Running, recorder: Recorder
) -> None:
    before = await server.revision()
    server.write_config("route: {receiver: nobody-there}\n")
    with pytest.raises(ReloadRefusedError, match="undefined receiver"):
        await server.api.reload()
    assert await server.revision() == before
    await server.fire(alertname="Other")
    await arrived(recorder, WEBHOOK)


async def test_a_receiver_that_fails_is_found_and_found_again_when_it_works(
    server: Running, recorder: Recorder
) -> None:
    tellers = [Teller({"metadata": {"uid": "1"}}, server.api)]
    deliveries = Deliveries()
    assert await deliveries.look(tellers, []) == []
    recorder.refuse(SLACK, 404)
    await server.fire(alertname="One", severity="warning")
    await arrived(recorder, EMAIL, "One")
    failing = await until(lambda: deliveries.look(tellers, []))
    assert failing == ["chat/slack"]
    assert await deliveries.look(tellers, failing) == failing
    recorder.refuse(SLACK, 0)
    await server.fire(alertname="Two", severity="warning")
    await arrived(recorder, SLACK, "Two")

    async def is_well() -> bool:
        return await deliveries.look(tellers, failing) == []

    await until(is_well)


async def test_a_mesh_of_two_tells_once(
    tmp_path_factory: pytest.TempPathFactory, recorder: Recorder
) -> None:
    """Each pod gets every alert, as from Prometheus; what one has sent the other knows."""
    told = render(alerting(recorder), recorder)
    ports = [free_port(), free_port()]
    folders = [tmp_path_factory.mktemp("pod") for _ in ports]
    async with AsyncExitStack() as stack:
        pair = [
            await stack.enter_async_context(running(folder, told, *_mesh(number, ports)))
            for number, folder in enumerate(folders)
        ]
        for each in pair:
            await until(partial(_peers, each, 2), seconds=30)
        for each in pair:
            await each.fire(alertname="Other")
        # By the time that a pod sends a later alert, its turn for the first one is over.
        for number, each in enumerate(pair):
            await each.fire(alertname=f"Later{number}")
            await arrived(recorder, WEBHOOK, f"Later{number}")
    assert len(recorder.messages(WEBHOOK, '"Other"')) == 1


def _mesh(number: int, ports: list[int]) -> list[str]:
    """Return the arguments of the StatefulSet by which pods find each other, made fit for here."""
    spec = MonitoringStackSpec.model_validate(
        {
            "alerting": {
                "replicas": 2,
                "receivers": [{"name": "a"}],
                "route": {"receiver": "a"},
            }
        }
    )
    assert spec.alerting
    *_, workload = build_alertmanager(Stack("shop", "main", "u", spec), spec.alerting)
    args = json.loads(
        json.dumps(workload["spec"]["template"]["spec"]["containers"][0]["args"])
        .replace("$(POD_IP):9094", f"127.0.0.1:{ports[number]}")
        .replace("$(POD_NAME)", f"main-{number}")
        .replace("main-alertmanager-pods.shop.svc:9094", f"127.0.0.1:{ports[1 - number]}")
    )
    mesh = [arg for arg in args if arg.startswith("--cluster.")]
    assert len(mesh) == 5
    return [*mesh, "--cluster.peer-timeout=1s", "--cluster.settle-timeout=2s"]


async def _peers(server: Running, count: int) -> bool:
    async with server.api.session.get(f"{server.api.url}/api/v2/status") as answer:
        cluster = (await answer.json())["cluster"]
    return cluster["status"] == "ready" and len(cluster["peers"]) == count


async def test_every_receiver_is_tested_and_one_that_refuses_is_found(
    tmp_path: Path, recorder: Recorder
) -> None:
    block = alerting(recorder, selfTest={"schedule": "1h"})
    told = render(block, recorder)
    recorder.refuse(PAGERDUTY, 400)
    tests, now, period = SelfTests(), datetime.now(UTC), timedelta(hours=1)
    async with running(tmp_path, told) as server:
        tellers = [Teller({"metadata": {"uid": "1"}}, server.api)]

        async def step(status: SelfTestStatus, at: datetime) -> SelfTestStatus:
            return await tests.step(status, ways=told.ways, tellers=tellers, period=period, now=at)

        status = await step(SelfTestStatus(), now)
        assert tests.running
        for channel in (WEBHOOK, SLACK, EMAIL):
            await arrived(recorder, channel)
        assert await until(lambda: _requests(server, 4))
        assert await step(status, now + timedelta(seconds=80)) == status
        status = await step(status, now + timedelta(seconds=100))
        assert not tests.running
        assert {each.receiver: each.verified for each in status.receivers} == {
            "chat/email": True,
            "chat/slack": True,
            "hook/webhook": True,
            "pager/pagerduty": False,
        }
        assert (verified(status).status, verified(status).reason) == ("False", "TestFailed")
        assert await step(status, now + timedelta(minutes=59)) == status
        assert not tests.running
        recorder.refuse(PAGERDUTY, 0)
        again = now + timedelta(hours=2)
        await step(status, again)
        await arrived(recorder, PAGERDUTY)
        assert await until(lambda: _requests(server, 8))
        status = await step(status, again + timedelta(seconds=1))
        assert verified(status).reason == "Verified"
    (alert,) = recorder.messages(WEBHOOK)[0].content["alerts"]
    assert alert["labels"]["synthetic"] == "true"
    assert len(recorder.messages(SLACK)) == 2


async def _requests(server: Running, count: int) -> bool:
    """Tell whether so many requests have been answered by the receivers."""
    counts = await server.api.requests()
    return sum(each.tried for each in counts.values()) >= count
