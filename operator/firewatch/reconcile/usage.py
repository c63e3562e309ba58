"""What a Prometheus says of its own storage, asked of itself."""

from firewatch.build import names
from firewatch.cluster.prometheus import Prometheus, PrometheusError
from firewatch.reconcile.forecast import HISTORY_HOURS, Reading

_SELF = f'{{job="prometheus",instance="localhost:{names.PROMETHEUS_PORT}"}}'
_BLOCKS = f"prometheus_tsdb_storage_blocks_bytes{_SELF}"
_WAL = f"max_over_time(prometheus_tsdb_wal_storage_size_bytes{_SELF}[1d])"
_CHUNKS = f"max_over_time(prometheus_tsdb_head_chunks_storage_size_bytes{_SELF}[1d])"
_GROWTH = f"deriv({_BLOCKS}[1d])"
_HOURS = f"count_over_time({_BLOCKS}[1d:1h])"
_OLDEST = f"prometheus_tsdb_lowest_timestamp_seconds{_SELF}"
# Without a sample it is the largest number there is.
_LATEST_SECONDS = 1e11


async def gather_reading(api: Prometheus) -> Reading | None:
    """Return what a server holds, or None if it has not scraped itself yet or does not answer."""
    try:
        blocks, head = await api.value(_BLOCKS), await api.value(f"{_WAL} + {_CHUNKS}")
        if blocks is None or head is None:
            return None
        hours, oldest = await api.value(_HOURS), await api.value(_OLDEST)
        has_history = hours is not None and hours >= HISTORY_HOURS
        growth = await api.value(_GROWTH) if has_history else None
    except PrometheusError:
        return None
    known = oldest is not None and 0 < oldest < _LATEST_SECONDS
    return Reading(blocks, head, growth, oldest if known else None)
