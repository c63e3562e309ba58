"""How much a stack's Prometheus takes in: its largest metrics, and jobs that come near their limit.

A status that followed every series would never be quiet: numbers are rounded, and what is written
stays until it is off by a quarter.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from firewatch.api.resource import Key, Object
from firewatch.api.stack import JobStatus, MetricSize
from firewatch.cluster.prometheus import PrometheusError
from firewatch.reconcile.context import Context
from firewatch.reconcile.servers import Servers
from firewatch.reconcile.targets import pools_by_job

_EVERY = timedelta(minutes=10)
_OFF = 1.25
_NEAR_PERCENT = 80
_STEP = 10
_SAMPLES = "max by (job) (scrape_samples_post_metric_relabeling)"


async def gather_largest(
    context: Context, key: Key, servers: Servers, before: Sequence[MetricSize]
) -> list[MetricSize]:
    """Return the largest metrics; as they were, if it is not time to look or nobody answers."""
    now = context.clock()
    # After a restart of the operator what is written counts as just measured.
    last = context.measured.setdefault(key, now) if before else context.measured.get(key)
    if not servers.ready or (last is not None and now - last < _EVERY):
        return [*before]
    try:
        found = await servers.ready[0].api.largest_metrics()
    except PrometheusError:
        return [*before]
    if found:  # a server that has just started knows nothing, and says so for half a minute
        context.measured[key] = now
    return settle_largest(found, before)


def settle_largest(
    found: Sequence[tuple[str, int]], before: Sequence[MetricSize]
) -> list[MetricSize]:
    """Return the sizes to be written: those before, unless one is off by a quarter (pure)."""
    known = {each.name: each.series for each in before}
    smallest = min(known.values(), default=0)
    if len(found) == len(before) and all(
        _is_about(count, known.get(name, smallest)) for name, count in found
    ):
        return [*before]
    return [MetricSize(name=name, series=_two_digits(count)) for name, count in found]


def _is_about(count: int, known: int) -> bool:
    return known <= count * _OFF and count <= known * _OFF


def _two_digits(count: int) -> int:
    unit: int = 10 ** max(len(str(count)) - 2, 0)
    return round(count / unit) * unit


async def gather_limits(
    servers: Servers, configuration: Object, jobs: Sequence[JobStatus], before: Sequence[JobStatus]
) -> list[JobStatus]:
    """Return the rows of jobs with how near they come to their limit of samples."""
    if not servers.ready:
        return [*jobs]
    try:
        samples = await servers.ready[0].api.by_label(_SAMPLES, "job")
    except PrometheusError:
        return [*jobs]
    known = {job.name: job.limit_used for job in before}
    limits = sample_limits(configuration)
    return [
        job.model_copy(
            update={
                "limit_used": used_percent(
                    samples.get(job.name, 0), limits.get(job.name, 0), known.get(job.name, 0)
                )
            }
        )
        for job in jobs
    ]


def sample_limits(configuration: Object) -> Mapping[str, int]:
    """Return the limits of samples that a prometheus.yml sets, by job (pure); 0 for none."""
    default = configuration.get("global", {}).get("sample_limit", 0)
    limits = {
        name: {pool.get("sample_limit", default) for pool in pools} - {0}
        for name, pools in pools_by_job(configuration).items()
    }
    return {name: min(found, default=0) for name, found in limits.items()}


def used_percent(samples: float, limit: int, before: int) -> int:
    """Return the share of a limit in tens of percent, 0 below 80 (pure).

    What was written stays while the share has not left it by ten.
    """
    share = 100 * samples / limit if limit else 0
    if before and abs(share - before) < _STEP:
        return before
    rounded = int(share // _STEP) * _STEP
    return rounded if rounded >= _NEAR_PERCENT else 0
