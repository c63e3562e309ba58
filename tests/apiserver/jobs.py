"""The part of a cluster that runs Jobs, as far as ``promtool`` goes."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from e2e.cluster import binaries
from e2e.cluster.progress import SilentProgress
from firewatch.api.resource import Object
from firewatch.cluster.kinds import CONFIG_MAP, JOB
from tests.apiserver.scene import stop
from tests.apiserver.world import World

NOW = "2026-01-01T00:00:00Z"


@dataclass
class JobRunner:
    """The part of a cluster that runs Jobs: the real promtool on the files of their ConfigMaps."""

    world: World
    folder: Path
    ran: list[str] = field(default_factory=list)
    failure: str = ""
    """A reason for which every Job fails without having run."""

    def __post_init__(self) -> None:
        self.folder.mkdir()

    def kubectl(self, *arguments: str, text: str = "") -> None:
        self.world.kubectl("-n", self.world.namespace, *arguments, text=text)

    async def work(self) -> None:
        while True:
            await asyncio.sleep(0.1)
            for job in await self.jobs():
                name = job["metadata"]["name"]
                if name not in self.ran and not job.get("status", {}).get("conditions"):
                    self.ran.append(name)
                    await self.run(job)

    async def jobs(self) -> list[Object]:
        return await self.world.recorder.list(JOB, self.world.namespace)

    async def run(self, job: Object) -> None:
        name = job["metadata"]["name"]
        pod = job["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        mount = await self.mount(pod, container)
        arguments = [text.replace(f"{mount}/", f"{self.folder}/") for text in container["args"]]
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

    async def mount(self, pod: Object, container: Object) -> str:
        """Write the files of the pod's ConfigMap; return where its container would find them."""
        (volume,) = (each for each in pod["volumes"] if "configMap" in each)
        files = await self.world.get(CONFIG_MAP, volume["configMap"]["name"])
        for file, text in files["data"].items():
            (self.folder / file).write_text(text)
        (mount,) = (m for m in container["volumeMounts"] if m["name"] == volume["name"])
        return str(mount["mountPath"])

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
async def running_jobs(world: World, folder: Path) -> AsyncIterator[JobRunner]:
    runner = JobRunner(world, folder)
    task = asyncio.create_task(runner.work())
    try:
        yield runner
    finally:
        await stop(task)
