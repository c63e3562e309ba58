"""Remote write in Prometheus' words."""

from firewatch.api.remote_write import QueueConfig, RemoteWrite
from firewatch.api.resource import Object
from firewatch.build.http_client import http_client
from firewatch.build.mounted_files import file_path
from firewatch.build.relabeling import relabelings


def build_remote_write(remote: RemoteWrite) -> Object:
    """Return an entry of ``remote_write``."""
    optional = {
        "remote_timeout": remote.remote_timeout,
        "headers": {name: remote.headers[name] for name in sorted(remote.headers)},
        "http_headers": {
            name: {"files": [file_path(remote.secret_headers[name])]}
            for name in sorted(remote.secret_headers)
        },
        "send_exemplars": remote.send_exemplars,
        "send_native_histograms": remote.send_native_histograms,
        **http_client(remote),
        "queue_config": _queue(remote.queue_config) if remote.queue_config else None,
        "write_relabel_configs": relabelings(remote.write_relabelings),
    }
    return {
        "url": remote.url,
        "name": remote.name,
        **{name: value for name, value in optional.items() if value},
    }


def _queue(queue: QueueConfig) -> Object:
    fields = {
        "capacity": queue.capacity,
        "min_shards": queue.min_shards,
        "max_shards": queue.max_shards,
        "max_samples_per_send": queue.max_samples_per_send,
        "batch_send_deadline": queue.batch_send_deadline,
        "min_backoff": queue.min_backoff,
        "max_backoff": queue.max_backoff,
        "retry_on_http_429": queue.retry_on_rate_limit,
        "sample_age_limit": queue.sample_age_limit,
    }
    return {name: value for name, value in fields.items() if value}
