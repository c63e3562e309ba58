"""The block ``exporters`` of a MonitoringStack."""

from pydantic import Field

from firewatch.api.resource import Model
from firewatch.api.workload import Workload


class NodeExporter(Workload):
    """Metrics of the machines, from a DaemonSet that sees the host read-only.

    It needs host network, host PID and a read-only mount of the host's root, so the namespace must
    allow the Pod Security level ``privileged``. It tolerates every taint unless ``tolerations`` is
    given.
    """

    own_flags = frozenset(
        {
            *("path.rootfs", "path.sysfs", "path.udev.data", "web.listen-address"),
            *("web.config.file", "collector.filesystem.mount-points-exclude"),
            *("collector.filesystem.fs-types-exclude", "collector.netdev.device-exclude"),
            "collector.netclass.ignored-devices",
        }
    )

    port: int = Field(default=9100, ge=1, le=65535)
    """Port on every node."""


class Exporters(Model):
    """Programs that turn what they see into metrics."""

    node: NodeExporter | None = None
    """node_exporter on every node, scraped as the job ``node``."""
