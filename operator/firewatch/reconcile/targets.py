"""What Prometheus scrapes: how many targets each job has, how many answer, and what the rest says."""

import re
from collections.abc import Iterable, Mapping, Sequence

from firewatch.api.resource import Object
from firewatch.api.stack import JobStatus
from firewatch.build import names
from firewatch.cluster.prometheus import Prometheus, PrometheusError, ScrapedTarget
from firewatch.reconcile.servers import Servers

_MOST_JOBS = 64
_MOST_EXPLAINED = 5
"""Jobs whose targets are read one by one: a list of ten thousand is megabytes."""
_LONGEST = 512
_QUERY_STRING = re.compile(r"\?[^\"\s]*")
_LIMIT = re.compile(r"\blimit\b", re.IGNORECASE)
_CLOSED = f'pg_up{{job="{names.POSTGRES_JOB}"}} == 0'
_OF_KUBELET = frozenset({"kubelet", "cadvisor"})
_SELF_SIGNED = (
    "the kubelet has signed its certificate itself: have the cluster sign it (serverTLSBootstrap), or"
    " set exporters.kubelet.insecureSkipVerify"
)


async def gather_jobs(
    servers: Servers, configuration: Object, before: Sequence[JobStatus]
) -> list[JobStatus]:
    """Return the jobs of a stack; as they were, if no server can be asked."""
    configured = pools_by_job(configuration)
    if not configured:
        return []
    if not servers.ready:
        return [*before]
    try:
        return await _gather(servers.first.api, configured, {j.name: j for j in before})
    except PrometheusError:
        return [*before]


def pools_by_job(configuration: Object) -> dict[str, list[Object]]:
    """Return the scrape configurations of a prometheus.yml by the label ``job`` of their targets."""
    found: dict[str, list[Object]] = {}
    for pool in configuration.get("scrape_configs") or ():
        found.setdefault(_label(pool), []).append(pool)
    return found


def _label(pool: Object) -> str:
    labels = {group.get("labels", {}).get("job") for group in pool.get("static_configs") or ()}
    label = labels.pop() if len(labels) == 1 else None
    return str(label or pool["job_name"])


async def _gather(
    api: Prometheus, configured: Mapping[str, Sequence[Object]], before: Mapping[str, JobStatus]
) -> list[JobStatus]:
    found = await api.by_label("count by (job) (up)", "job")
    up = await api.by_label("sum by (job) (up)", "job")
    jobs = dict.fromkeys([*configured, *sorted(found)])
    counts = {name: (int(found.get(name, 0)), int(up.get(name, 0))) for name in jobs}
    bad = [name for name, (targets, answering) in counts.items() if answering < targets]
    why = {name: await _targets(api, configured.get(name, ())) for name in bad[:_MOST_EXPLAINED]}
    rows = [
        job_row(name, targets, answering, down=why.get(name, ()), before=before.get(name))
        for name, (targets, answering) in [*counts.items()][:_MOST_JOBS]
    ]
    closed = await api.by_label(_CLOSED, "instance") if names.POSTGRES_JOB in configured else {}
    return [explain_databases(row, sorted(closed)) for row in rows]


async def _targets(api: Prometheus, pools: Iterable[Object]) -> list[ScrapedTarget]:
    return [target for pool in pools for target in await api.targets(pool["job_name"])]


def job_row(
    name: str,
    targets: int,
    up: int,
    *,
    down: Iterable[ScrapedTarget],
    before: JobStatus | None,
) -> JobStatus:
    """Return the row of a job (pure).

    While as many are down, the words stay the same: which of several errors comes first is chance.
    """
    failing = sorted((each for each in down if each.error), key=lambda each: each.url)
    rejected = sum(bool(_LIMIT.search(each.error)) for each in failing)
    row = JobStatus(name=name, targets=targets, up=up, rejected=rejected)
    if (
        before
        and before.message
        and up < targets
        and before.model_copy(update={"message": "", "limit_used": 0}) == row
    ):
        return before
    message = _message(targets, up, failing)
    if name in _OF_KUBELET and "x509: certificate signed by unknown authority" in message:
        message = f"{_SELF_SIGNED}; {message}"
    return row.model_copy(update={"message": message[:_LONGEST]})


def explain_databases(row: JobStatus, closed: Sequence[str]) -> JobStatus:
    """Add to the job of databases that exporters answer which cannot log in themselves (pure)."""
    if row.name != names.POSTGRES_JOB or row.message or not closed:
        return row
    message = (
        f"{', '.join(closed)}: the exporter cannot log in (pg_up is 0), and its log says why: look at"
        " username, password, database, and sslMode, which is disable for a server without TLS"
    )
    return row.model_copy(update={"message": message[:_LONGEST]})


def _message(targets: int, up: int, failing: Sequence[ScrapedTarget]) -> str:
    if not targets:
        return "nothing is found to scrape"
    if up >= targets:
        return ""
    if not failing:
        return "waiting for the first answers"
    first = failing[0]
    # What stands behind the question mark may be a credential.
    parts = (_QUERY_STRING.sub("", part) for part in (first.url, first.error))
    return ": ".join(parts)


def summarize_jobs(jobs: Sequence[JobStatus]) -> str:
    """Return how many targets answer, as ``12/13``; empty if nothing is known."""
    if not jobs:
        return ""
    return f"{sum(job.up for job in jobs)}/{sum(job.targets for job in jobs)}"


def all_up(jobs: Sequence[JobStatus]) -> bool:
    """Tell whether every job has targets that all answer, and nothing is said against any."""
    return all(job.targets and job.up >= job.targets and not job.message for job in jobs)
