"""Policies with unit tests, from ``kubectl apply`` over a Job to a real Prometheus."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from firewatch.api.resource import Key, Object
from firewatch.cluster.kinds import ALERT_POLICY, CONFIG_MAP, JOB
from tests.apiserver.jobs import running_jobs
from tests.apiserver.scene import Scene, alert, eventually, operating

pytestmark = pytest.mark.usefixtures("crds", "role")

TESTS: Object = {
    "tests": [
        {
            "name": "it fires",
            "interval": "1m",
            "input_series": [{"series": "app_down", "values": "1x5"}],
            "alert_rule_test": [{"eval_time": "3m", "alertname": "Down", "exp_alerts": [{}]}],
        }
    ]
}


def checked(ready: Scene, expr: str, **tests: Any) -> Object:
    return ready.policy("tested", alert("Down", expr), tests={**TESTS, **tests})


async def is_tidy(ready: Scene) -> bool:
    found = [
        item["metadata"]["name"]
        for kind in (JOB, CONFIG_MAP)
        for item in await ready.world.recorder.list(kind, ready.world.namespace)
    ]
    return not any("-test-" in name for name in found)


async def test_rules_run_once_their_tests_pass(ready: Scene, tmp_path: Path) -> None:
    async with running_jobs(ready.world, tmp_path / "job") as runner:
        ready.apply(checked(ready, "app_down > 0"), ready.policy("plain", alert("Plain")))
        found = await ready.until("tested", "Ready", "Ready", seconds=30)
        assert found["Tested"] == ("True", "TestsPassed")
        assert await ready.alerts() == {"Down", "Plain"}
        assert "Tested" not in await ready.until("plain", "Ready", "Ready")

        ready.apply(checked(ready, "app_down > 5"))
        found = await ready.until("tested", "Tested", "TestsFailed", seconds=30)
        assert found["Ready"] == ("False", "TestsFailed")
        status = (await ready.world.get(ALERT_POLICY, "tested"))["status"]
        assert status["tests"]["passed"] is False
        assert "it fires" in status["tests"]["message"]
        (text,) = [text for text in (await ready.slots()).values() if "Down" in text]
        assert "app_down > 0" in text
        assert len(runner.ran) == 2
        await eventually(bool, lambda: is_tidy(ready), seconds=10)

        ready.world.recorder.written()
        keys = [Key("Rules", ready.world.namespace, name) for name in ("", "main")]
        async with operating(ready.world) as (restarted, _):
            for key in keys:
                restarted.wake(key)
            await asyncio.sleep(2)
        assert ready.world.recorder.written() == []
        assert len(runner.ran) == 2

        ready.apply(checked(ready, "app_down > 0.5"))
        await ready.until("tested", "Ready", "Ready", seconds=30)


async def test_tests_that_do_not_end_say_so_and_nothing_new_is_loaded(
    ready: Scene,
    tmp_path: Path,
) -> None:
    async with running_jobs(ready.world, tmp_path / "job") as runner:
        runner.failure = "DeadlineExceeded"
        ready.apply(checked(ready, "app_down > 0"))
        await ready.until("tested", "Tested", "TestsRunning", seconds=30)
        await ready.until("tested", "Tested", "TestsNotRun", seconds=30)
        assert await ready.alerts() == set()
        status = (await ready.world.get(ALERT_POLICY, "tested"))["status"]
        assert "tests" not in status
        assert "within 60 s" in status["conditions"][0]["message"]
        # Its Job is forgotten after a while, and then there is another try.
        runner.failure = ""
        (job,) = await runner.jobs()
        runner.ran.clear()
        runner.kubectl("delete", "job", job["metadata"]["name"])
        await ready.until("tested", "Ready", "Ready", seconds=30)
