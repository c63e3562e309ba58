"""Policies with unit tests, from ``kubectl apply`` over a Job to a real Prometheus."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from e2e.cluster import binaries
from e2e.cluster.progress import SilentProgress
from firewatch.api.resource import Key, Object
from firewatch.cluster.kinds import ALERT_POLICY, CONFIG_MAP, JOB
from tests.apiserver.scene import Scene, alert, eventually, operating, stop

pytestmark = pytest.mark.usefixtures("crds", "role")

NOW = "2026-01-01T00:00:00Z"
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


@dataclass
class JobRunner:
    """The part of a cluster that runs Jobs: the real promtool on the files of the ConfigMap."""

    scene: Scene
    folder: Path
    ran: list[str] = field(default_factory=list)
    failure: str = ""
    """A reason for which every Job fails without having run."""

    def kubectl(self, *arguments: str, text: str = "") -> None:
        self.scene.world.kubectl("-n", self.scene.world.namespace, *arguments, text=text)

    async def work(self) -> None:
        while True:
            await asyncio.sleep(0.1)
            for job in await self.jobs():
                name = job["metadata"]["name"]
                if name not in self.ran and not job.get("status", {}).get("conditions"):
                    self.ran.append(name)
                    await self.run(job)

    async def jobs(self) -> list[Object]:
        return await self.scene.world.recorder.list(JOB, self.scene.world.namespace)

    async def run(self, job: Object) -> None:
        name = job["metadata"]["name"]
        files = await self.scene.world.get(CONFIG_MAP, name)
        for file, text in files["data"].items():
            (self.folder / file).write_text(text)
        (container,) = job["spec"]["template"]["spec"]["containers"]
        arguments = [text.replace("/tests/", f"{self.folder}/") for text in container["args"]]
        program = binaries.ensure(["promtool"], SilentProgress()) / "promtool"
        process = await asyncio.create_subprocess_exec(
            program,
            *arguments,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        if self.failure or process.returncode:
            self.end_pod(name, output.decode())
            self.end(name, "FailureTarget", "Failed", self.failure or "BackoffLimitExceeded")
        else:
            self.end(name, "SuccessCriteriaMet", "Complete", "CompletionsReached")

    def end(self, name: str, first: str, last: str, reason: str) -> None:
        conditions = [
            {"type": kind, "status": "True", "reason": reason, "lastTransitionTime": NOW}
            for kind in (first, last)
        ]
        done = {"completionTime": NOW, "succeeded": 1} if last == "Complete" else {"failed": 1}
        status = {"startTime": NOW, "conditions": conditions, **done}
        self.patch(f"job/{name}", status)

    def end_pod(self, name: str, message: str) -> None:
        labels = {"batch.kubernetes.io/job-name": name}
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "labels": labels},
            "spec": {
                "automountServiceAccountToken": False,
                "restartPolicy": "Never",
                "containers": [{"name": "promtool", "image": "x"}],
            },
        }
        self.kubectl("apply", "-f", "-", text=json.dumps(pod))
        ended = {"exitCode": 1, "reason": "Error", "message": message[-2048:]}
        container = {"name": "promtool", "image": "x", "imageID": "", "ready": False}
        container |= {"restartCount": 0, "state": {"terminated": ended}}
        self.patch(f"pod/{name}", {"phase": "Failed", "containerStatuses": [container]})

    def patch(self, what: str, status: Object) -> None:
        body = json.dumps({"status": status})
        self.kubectl("patch", what, "--subresource=status", "--type=merge", "-p", body)


@asynccontextmanager
async def running_jobs(scene: Scene, folder: Path) -> AsyncIterator[JobRunner]:
    runner = JobRunner(scene, folder)
    task = asyncio.create_task(runner.work())
    try:
        yield runner
    finally:
        await stop(task)


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
    folder = tmp_path / "job"
    folder.mkdir()
    async with running_jobs(ready, folder) as runner:
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
    folder = tmp_path / "job"
    folder.mkdir()
    async with running_jobs(ready, folder) as runner:
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
