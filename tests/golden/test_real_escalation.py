"""A real Prometheus and a real Alertmanager: an alert that is not over is told to somebody else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web

from e2e.cluster import binaries
from e2e.cluster.progress import SilentProgress
from e2e.messages import PAGERDUTY, WEBHOOK, Recorder, record
from firewatch.api.alerts import AlertPolicySpec
from firewatch.api.stack import MonitoringStackSpec
from firewatch.build.alertmanager_config import render_notifications
from firewatch.build.notifying import Contents, Sources
from firewatch.build.objects import Stack
from firewatch.build.policy_routes import RoutingPolicy
from firewatch.build.rules import policy_groups, render_rules
from firewatch.build.scrape import render_prometheus_config
from firewatch.build.surroundings import Surroundings
from tests.golden.test_real_alertmanager import Running, arrived, running, until
from tests.golden.test_real_prometheus import free_port

ETC = "/etc/prometheus"


def stack(recorder: Recorder) -> Stack:
    pager = {"routingKey": {"name": "keys", "key": "k"}, "url": recorder.pagerduty_url}
    block = {
        "receivers": [
            {"name": "nobody"},
            {"name": "hook", "webhook": [{"url": recorder.webhook_url}]},
            {"name": "pager", "pagerduty": [pager]},
        ],
        "route": {"receiver": "nobody", "groupWait": "0s", "groupInterval": "1s"},
    }
    spec = {"metrics": {"evaluationInterval": "1s"}, "alerting": block}
    return Stack("team", "main", "u", MonitoringStackSpec.model_validate(spec))


def policy() -> RoutingPolicy:
    rule = {
        "alert": "Down",
        "expr": 'label_replace(vector(1), "instance", "db-1", "", "")',
        "labels": {"severity": "warning"},
    }
    spec = {
        "groups": [{"name": "g", "rules": [rule]}],
        "routes": [
            {
                "matchers": ["severity=warning"],
                "receiver": "hook",
                "escalate": [{"after": "3s", "receiver": "pager", "severity": "critical"}],
            }
        ],
    }
    return RoutingPolicy("team", "p", AlertPolicySpec.model_validate(spec))


@asynccontextmanager
async def prometheus(
    folder: Path, found: Stack, told: RoutingPolicy, targets: list[str]
) -> AsyncIterator[None]:
    """Run Prometheus with the stack's configuration and the policy's rules."""
    assert found.spec.metrics
    config: Any = yaml.safe_load(
        render_prometheus_config(found, found.spec.metrics, Surroundings(targets[0]))
        .replace(f"{ETC}/rules", str(folder))
        .replace(f"{ETC}/token/token", str(folder / "token"))
    )
    to_alertmanager = config["alerting"]["alertmanagers"][1]
    del to_alertmanager["dns_sd_configs"]
    to_alertmanager["static_configs"] = [{"targets": [targets[1]]}]
    (folder / "token").write_text("x")
    (folder / "prometheus.conf").write_text(yaml.safe_dump(config))
    (folder / "p.yml").write_text(render_rules(policy_groups(told.spec, told.title), ()))
    with (folder / "log").open("w") as log:
        process = await asyncio.create_subprocess_exec(
            binaries.ensure(["prometheus"], SilentProgress()) / "prometheus",
            f"--config.file={folder / 'prometheus.conf'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{free_port()}",
            stdout=log,
            stderr=log,
        )
        try:
            yield
        finally:
            process.terminate()
            await process.wait()


@asynccontextmanager
async def operator(pushed: list[Any]) -> AsyncIterator[str]:
    """Stand in for the operator's receiver; yield its address."""

    async def take(request: web.Request) -> web.Response:
        pushed.extend(await request.json())
        return web.Response()

    application = web.Application()
    application.router.add_post("/api/v2/alerts", take)
    runner = web.AppRunner(application)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await runner.cleanup()


async def alerts(server: Running) -> list[Any]:
    async with server.api.session.get(f"{server.api.url}/api/v2/alerts") as answer:
        found: list[Any] = await answer.json()
    return found


async def silence(server: Running, **labels: str) -> None:
    now = datetime.now(UTC)
    body = {
        "matchers": [
            {"name": name, "value": value, "isRegex": False, "isEqual": True}
            for name, value in labels.items()
        ],
        "startsAt": now.isoformat(),
        "endsAt": (now + timedelta(hours=1)).isoformat(),
        "createdBy": "test",
        "comment": "test",
    }
    async with server.api.session.post(f"{server.api.url}/api/v2/silences", json=body) as answer:
        assert answer.status == 200


async def test_an_alert_that_is_not_over_is_escalated_and_a_silence_on_it_mutes_both(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    pushed: list[Any] = []
    with record("127.0.0.1") as recorder:
        found, told = stack(recorder), policy()
        assert found.spec.alerting
        sources = Sources(secrets={("team", "keys"): Contents("1", {"k": b"key"})})
        notifications = render_notifications(found, found.spec.alerting, sources, [told])
        assert notifications.left_out == []
        async with (
            operator(pushed) as receiver,
            running(tmp_path_factory.mktemp("am"), notifications) as server,
            prometheus(
                tmp_path_factory.mktemp("prometheus"),
                found,
                told,
                [receiver, server.api.url.removeprefix("http://")],
            ),
        ):
            first = await arrived(recorder, WEBHOOK)
            page = await arrived(recorder, PAGERDUTY)
            labels = [each["labels"] for each in first.content["alerts"]]
            assert labels == [{"alertname": "Down", "instance": "db-1", "severity": "warning"}]
            assert page.received - first.received >= timedelta(seconds=1)
            assert page.content["payload"]["summary"]
            await silence(server, alertname="Down", instance="db-1")
            await until(lambda: _all_silenced(server))
            both = {each["labels"]["severity"]: each["labels"] for each in await alerts(server)}
            assert both["critical"]["alertname"] == "Down"
            assert both["critical"]["instance"] == "db-1"
            assert set(both) == {"warning", "critical"}
    # What is escalated is no alert of its own to an AutoResponse, nor does it mute its origin.
    assert {each["labels"]["alertname"] for each in pushed} == {"Down"}
    assert len(recorder.messages(WEBHOOK)) == 1


async def _all_silenced(server: Running) -> bool:
    found = await alerts(server)
    return all(each["status"]["silencedBy"] for each in found)
