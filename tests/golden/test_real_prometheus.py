"""A real Prometheus on this machine, fed with what is built, and read back."""

import asyncio
import shutil
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
import yaml

from e2e.cluster import binaries
from e2e.cluster.progress import SilentProgress
from firewatch.api.alerts import AlertPolicySpec
from firewatch.api.stack import MonitoringStackSpec
from firewatch.build.objects import Stack
from firewatch.build.rules import (
    MARKER_GROUP,
    MARKER_LABEL,
    policy_groups,
    render_rules,
    slot_revision,
)
from firewatch.build.scrape import config_revision, render_prometheus_config
from firewatch.build.slots import build_slot, digests
from firewatch.build.surroundings import Surroundings
from firewatch.cluster.prometheus import BadQueryError, Prometheus, PrometheusError
from firewatch.reconcile.delivery import read_markers
from firewatch.reconcile.judging import GOOD, Question
from firewatch.reconcile.servers import Server
from firewatch.reconcile.verdicts import Verdicts
from tests.golden import building

ETC = "/etc/prometheus"


@dataclass(frozen=True)
class Running:
    """A Prometheus and the folder that stands for /etc/prometheus in its pod."""

    etc: Path
    api: Prometheus

    def configure(self, **metrics: Any) -> str:
        """Write prometheus.yml as for a stack with these metrics; return its revision."""
        spec = MonitoringStackSpec.model_validate({"metrics": metrics})
        assert spec.metrics
        stack = Stack("shop", "main", "u", spec)
        text = render_prometheus_config(stack, spec.metrics, Surroundings("127.0.0.1:1"))
        self._write("config/prometheus.yml", text.replace(ETC, str(self.etc)))
        return config_revision(text) or ""

    def deliver(self, slots: Mapping[int, Mapping[str, str]]) -> dict[int, str]:
        """Put the files of slots where kubelet would; return the slots' revisions."""
        stack = building.stack("smallest")
        wanted: dict[str, str] = {}
        for slot, texts in slots.items():
            wanted |= build_slot(stack, slot, texts)["data"]
        for path in (self.etc / "rules").iterdir():
            if path.name not in wanted:
                path.unlink()
        for name, text in wanted.items():
            self._write(f"rules/{name}", text)
        return {slot: slot_revision(digests(texts)) for slot, texts in slots.items()}

    def _write(self, name: str, text: str) -> None:
        path = self.etc / name
        path.with_suffix(".new").write_text(text)
        path.with_suffix(".new").rename(path)

    async def revision(self) -> str | None:
        return config_revision((await self.api.configuration()).replace(str(self.etc), ETC))

    async def markers(self) -> dict[int, str]:
        return await read_markers(Server(None, self.api))


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


async def until(what: Callable[[], Awaitable[object]], *, seconds: float = 10) -> float:
    """Wait until something is true; return how long it took."""
    started = time.monotonic()
    while True:
        try:
            if await what():
                return time.monotonic() - started
        except PrometheusError:
            pass
        assert time.monotonic() - started < seconds
        await asyncio.sleep(0.02)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    found = tmp_path_factory.mktemp("prometheus")
    yield found
    shutil.rmtree(found, ignore_errors=True)


@pytest_asyncio.fixture(scope="module")
async def prometheus(folder: Path) -> AsyncIterator[Running]:
    program = binaries.ensure(["prometheus"], SilentProgress()) / "prometheus"
    port = free_port()
    (folder / "config").mkdir()
    (folder / "rules").mkdir()
    async with aiohttp.ClientSession() as session:
        running = Running(folder, Prometheus(session, f"http://127.0.0.1:{port}"))
        running.configure()
        with (folder / "log").open("w") as log:
            process = await asyncio.create_subprocess_exec(
                program,
                *(arg.replace(ETC, str(folder)) for arg in arguments()),
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
                stdout=log,
                stderr=log,
            )
            try:
                await until(running.api.version, seconds=20)
                yield running
            finally:
                process.terminate()
                await process.wait()


def arguments() -> list[str]:
    """Return the arguments of the StatefulSet that hold on any machine."""
    (found,) = (i for i in building.stack_objects("smallest") if i["kind"] == "StatefulSet")
    (container,) = found["spec"]["template"]["spec"]["containers"]
    own = ("--storage.tsdb.path", "--web.listen-address")
    return [arg for arg in container["args"] if not arg.startswith(own)]


async def test_a_new_configuration_is_running_and_read_back(prometheus: Running) -> None:
    for interval in ("11s", "12s"):
        revision = prometheus.configure(scrapeInterval=interval)
        assert await prometheus.revision() != revision

        async def runs(wanted: str = revision) -> bool:
            return await prometheus.revision() == wanted

        assert await until(runs) < 2
    assert await prometheus.api.reload_succeeded()


async def test_user_text_arrives_unchanged_in_the_configuration(prometheus: Running) -> None:
    odd = {"a": "${HOME} $$ %", "b": "x: 'y'\n- z # \u00e9 \u2028 \U0001f525", "c": "yes"}
    revision = prometheus.configure(externalLabels=odd)

    async def runs() -> bool:
        return await prometheus.revision() == revision

    await until(runs)
    text = await prometheus.api.configuration()
    assert yaml.safe_load(text)["global"]["external_labels"] == odd


async def test_markers_are_read_back_in_one_small_request(prometheus: Running) -> None:
    text = building.policy_rules("runbook")
    slots = {3: {"a.yml": text}, 17: {"b.yml": text, "c.yml": text}}
    wanted = prometheus.deliver(slots)

    async def runs() -> bool:
        return await prometheus.markers() == wanted

    assert await until(runs) < 2
    rules = await prometheus.api.rules(groups=[MARKER_GROUP])
    assert len(rules) == 2
    assert {rule.labels[MARKER_LABEL] for rule in rules} == set(wanted.values())
    assert {rule.health for rule in rules} <= {"unknown", "ok"}
    changed = prometheus.deliver({3: {"a.yml": text}})

    async def has_gone() -> bool:
        return await prometheus.markers() == changed

    assert await until(has_gone) < 2


async def test_two_policies_may_use_the_same_group_name(prometheus: Running) -> None:
    def policy(alert: str) -> str:
        rules = [{"alert": alert, "expr": "up"}]
        spec = AlertPolicySpec.model_validate({"groups": [{"name": "same", "rules": rules}]})
        return render_rules(policy_groups(spec), ())

    wanted = prometheus.deliver({1: {"a.yml": policy("A"), "b.yml": policy("B")}})

    async def runs() -> bool:
        return await prometheus.markers() == wanted

    await until(runs)
    found = await prometheus.api.rules(names=["A", "B"])
    assert [(rule.name, rule.group) for rule in found] == [("A", "same"), ("B", "same")]


async def test_a_refused_file_shows_in_the_reload_and_not_in_the_markers(
    prometheus: Running,
) -> None:
    good = prometheus.deliver({2: {"a.yml": building.policy_rules("runbook")}})

    async def runs() -> bool:
        return await prometheus.markers() == good

    await until(runs)
    assert await prometheus.api.reload_succeeded()
    prometheus.deliver(
        {2: {"a.yml": "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: up ==\n"}}
    )

    async def refuses() -> bool:
        return not await prometheus.api.reload_succeeded()

    assert await until(refuses) < 2
    assert await prometheus.markers() == good
    # Content that was loaded before is not loaded again, and the failure stays on record …
    prometheus.deliver({2: {"a.yml": building.policy_rules("runbook")}})
    await asyncio.sleep(1.5)
    assert not await prometheus.api.reload_succeeded()
    # … until something differs, which is why a restored slot names the attempt.
    prometheus.deliver({2: {"a.yml": building.policy_rules("runbook")}, 3: {}})
    assert await until(prometheus.api.reload_succeeded) < 2


VERDICTS = {
    "up == 0": True,
    "rate(node_cpu_seconds_total[5m])": True,
    '{"http.requests", "weird.label"="x"}': True,
    "up{job=`back\\quoted`}": True,
    'up{job=~"a\\\\.b"}': True,
    "histogram_quantile(0.9, sum by (le) (rate(x_bucket[5m])))": True,
    "1": True,
    '"text"': True,
    "up ==": False,
    "up == )": False,
    "rate(up)": False,
    "nosuchfunction(up)": False,
    "up[5m:": False,
    "up{job=~'('}": False,
    "sum(up) by job": False,
    "up or up)": False,
    "(up": False,
    "up)) or (up": False,
    "{`x": False,
    "`}) or (up": False,
    "1 > bool 0": True,
    "rate(up[0s])": False,
    "x" * 8192: True,
    "(" * 4000 + "up" + ")" * 4000: True,
}


async def test_the_server_judges_expressions(prometheus: Running) -> None:
    verdicts = Verdicts()
    version = await prometheus.api.version()
    await verdicts.ask(prometheus.api, version, map(Question, VERDICTS))
    found = {text: verdicts.get(version, Question(text)) == GOOD for text in VERDICTS}
    assert found == VERDICTS
    reason, message = verdicts.get(version, Question("up == )")) or GOOD
    assert reason == "BadExpression"
    assert "unexpected right parenthesis" in message
    assert verdicts.get("another version", Question("up ==")) is None


async def test_an_answer_of_many_megabytes_is_read_whole(prometheus: Running) -> None:
    rules = [
        {"alert": f"Alert{i}", "expr": "up", "annotations": {"a": "x" * 4000}} for i in range(256)
    ]
    groups = [{"name": f"g{i}", "rules": rules} for i in range(4)]
    text = render_rules(policy_groups(AlertPolicySpec.model_validate({"groups": groups})), ())
    wanted = prometheus.deliver({5: {"big.yml": text}})

    async def runs() -> bool:
        return await prometheus.markers() == wanted

    await until(runs)
    assert len(await prometheus.api.rules()) == 4 * 256 + 1


async def test_what_is_wrong_with_a_server_is_said(prometheus: Running) -> None:
    with pytest.raises(BadQueryError, match="parse error"):
        await prometheus.api.check("up ==")
    nobody = Prometheus(prometheus.api.session, f"http://127.0.0.1:{free_port()}")
    with pytest.raises(PrometheusError, match="Connect"):
        await nobody.version()
    wrong = Prometheus(prometheus.api.session, f"{prometheus.api.url}/graph?x=")
    with pytest.raises(PrometheusError, match="not JSON"):
        await wrong.version()


async def test_a_retention_is_changed_without_a_restart(prometheus: Running) -> None:
    before = await prometheus.api.started_at()
    revision = prometheus.configure(retention={"time": "3d", "size": "7GB"})

    async def runs() -> bool:
        return await prometheus.revision() == revision

    await until(runs)
    info = await prometheus.api._get("/api/v1/status/runtimeinfo")
    assert info["storageRetention"] == "3d or 7GiB"
    assert await prometheus.api.started_at() == before
