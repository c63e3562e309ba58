"""The load of the benchmark of policies: rules that differ as those of real services do."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable

from firewatch.api.resource import Object
from firewatch.cluster.client import KubernetesCluster, Verb, Write
from firewatch.cluster.kinds import Kind

RULES = 5
"""Rules of each policy."""
_AT_A_TIME = 20


def first_alert(number: int, version: int = 0) -> str:
    """Return the name of a policy's first alert, which a change of the policy changes."""
    return f"BenchErrors{number}v{version}"


def groups(number: int, version: int = 0) -> list[Object]:
    """Return the rule groups of a policy: four alerts and a recording rule about one service."""
    service = f"svc-{number}"
    total = f'sum by (job) (rate(http_requests_total{{service="{service}"}}[5m]))'
    errors = f'sum by (job) (rate(http_requests_total{{service="{service}",code=~"5.."}}[5m]))'
    seconds = f"rate(http_request_duration_seconds_bucket{{service={service!r}}}[5m])"
    memory = f'container_memory_working_set_bytes{{container="{service}"}}'
    rules = [
        _alert(first_alert(number, version), f"{errors} / {total} > 0.0{1 + number % 9}", service),
        _alert(
            f"BenchSlow{number}",
            f"histogram_quantile(0.99, sum by (le, job) ({seconds})) > {1 + number % 5}",
            service,
        ),
        _alert(f"BenchAbsent{number}", f'absent(up{{service="{service}"}} == 1)', service),
        _alert(f"BenchMemory{number}", f"{memory} > {number % 7 + 1}e9", service),
        {"record": "job:http_requests:rate5m", "expr": total, "labels": {"service": service}},
    ]
    return [{"name": f"{service}.rules", "rules": rules}]


def _alert(name: str, expression: str, service: str) -> Object:
    return {
        "alert": name,
        "expr": expression,
        "for": "5m",
        "labels": {"severity": "warning", "service": service},
        "annotations": {
            "summary": f"{service}: {{{{ $value | humanize }}}} on {{{{ $labels.job }}}}",
            "runbook_url": f"https://runbooks.example.com/{service}/{name}",
        },
    }


async def create_all(
    cluster: KubernetesCluster, kind: Kind, bodies: Iterable[Object]
) -> tuple[float, float]:
    """Create resources, some at a time; return when the first began and the last ended."""
    limit = asyncio.Semaphore(_AT_A_TIME)

    async def create(body: Object) -> None:
        metadata = body["metadata"]
        async with limit:
            write = Write(Verb.CREATE, kind, metadata["namespace"], metadata["name"], body)
            await cluster.write(write)

    began = time.monotonic()
    await asyncio.gather(*map(create, bodies))
    return began, time.monotonic()


async def until(probe: Callable[[], Awaitable[bool]], *, seconds: float, pause: float) -> bool:
    """Ask a coroutine function again and again until it says yes; False if it never does."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if await probe():
            return True
        await asyncio.sleep(pause)
    return False
