"""Alerts on machines."""

from collections.abc import Iterator

from firewatch.api.packs import NodePack
from firewatch.api.resource import parse_duration
from firewatch.api.thresholds import PSEUDO_FILE_SYSTEMS
from firewatch.build.packs.alert import CRITICAL, WARNING, Alert
from firewatch.build.promql import number

_DISK = f'job="node",fstype!~"{"|".join(PSEUDO_FILE_SYSTEMS)}"'
_WRITABLE = f"(node_filesystem_readonly{{{_DISK}}} == 0)"
_FREE = f"node_filesystem_avail_bytes{{{_DISK}}} / node_filesystem_size_bytes{{{_DISK}}} * 100"
_WHERE = "{{ $labels.mountpoint }} on {{ $labels.instance }}"


def node_alerts(wanted: NodePack) -> Iterator[Alert]:
    """Yield the alerts of the pack ``node``."""
    yield Alert(
        "NodeCpuHigh",
        '100 * (1 - avg by (instance) (rate(node_cpu_seconds_total{job="node",mode="idle"}[10m])))'
        f" > {number(wanted.cpu_percent)}",
        "10m",
        WARNING,
        "The CPU of {{ $labels.instance }} is busy.",
        '{{ $value | printf "%.0f" }} percent are in use; what runs there becomes slow.',
    )
    yield Alert(
        "NodeMemoryHigh",
        '100 * (1 - node_memory_MemAvailable_bytes{job="node"}'
        f' / node_memory_MemTotal_bytes{{job="node"}}) > {number(wanted.memory_percent)}',
        "10m",
        WARNING,
        "The memory of {{ $labels.instance }} is nearly used up.",
        '{{ $value | printf "%.0f" }} percent are in use; soon processes are ended.',
    )
    yield from _disk_alerts(wanted)
    yield Alert(
        "NodeOutOfMemory",
        'increase(node_vmstat_oom_kill{job="node"}[10m]) > 0',
        "0s",
        WARNING,
        "{{ $labels.instance }} has ended processes for want of memory.",
        '{{ $value | printf "%.0f" }} were ended in the last ten minutes.',
    )
    yield Alert(
        "NodeClockOff",
        'abs(node_timex_offset_seconds{job="node"}) > 0.05'
        ' and node_timex_sync_status{job="node"} == 0',
        "10m",
        WARNING,
        "The clock of {{ $labels.instance }} is not synchronized and off.",
        "Certificates, tokens and the times of samples go by it.",
    )
    yield Alert(
        "NodeNetworkErrors",
        'rate(node_network_receive_errs_total{job="node"}[5m])'
        ' + rate(node_network_transmit_errs_total{job="node"}[5m])'
        ' > 0.01 * (rate(node_network_receive_packets_total{job="node"}[5m])'
        ' + rate(node_network_transmit_packets_total{job="node"}[5m]))',
        "15m",
        WARNING,
        "{{ $labels.device }} of {{ $labels.instance }} has errors.",
        "More than one packet in a hundred is lost there.",
    )


def _disk_alerts(wanted: NodePack) -> Iterator[Alert]:
    free = number(wanted.disk_free_percent)
    yield Alert(
        "NodeDiskSpaceLow",
        f"{_FREE} < {free} and {_WRITABLE}",
        "10m",
        CRITICAL,
        f"There is little space on {_WHERE}.",
        '{{ $value | printf "%.1f" }} percent are free.',
    )
    yield Alert(
        "NodeDiskFillsUp",
        f"predict_linear(node_filesystem_avail_bytes{{{_DISK}}}[6h],"
        f" {number(parse_duration(wanted.disk_full_within))}) < 0"
        f" and {_FREE} < 40 and {_WRITABLE}",
        "1h",
        WARNING,
        f"The space on {_WHERE} will be used up soon.",
        f"As it filled in the last six hours, it will be full within {wanted.disk_full_within}.",
    )
    yield Alert(
        "NodeInodesLow",
        f"node_filesystem_files_free{{{_DISK}}} / node_filesystem_files{{{_DISK}}} * 100 < {free}"
        f" and {_WRITABLE}",
        "10m",
        CRITICAL,
        f"There are few inodes left on {_WHERE}.",
        '{{ $value | printf "%.1f" }} percent are free; without one no file can be made.',
    )
