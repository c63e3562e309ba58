"""Machines, by node_exporter."""

from dashboards.parts import Board, Lines, Number, Query
from dashboards.promql import CPU_IN_USE, MEMORY_IN_USE, chosen, rate

_DISK = 'fstype!~"tmpfs|overlay|squashfs|ramfs|nsfs|efivarfs"'
_LINKS = 'device!~"lo|veth.*|cali.*|cni.*|docker.*|flannel.*"'
_BYTES = "bytes"
_BUSY = rate("node_cpu_seconds_total", 'mode!="idle"')


def _memory(what: str) -> str:
    return chosen(f"node_memory_{what}_bytes")


NODE = Board(
    "firewatch-node",
    "Node",
    "What a machine is busy with, and what runs out.",
    "whoever is on call for machines.",
    "node_uname_info",
    [
        (
            "At a glance",
            [
                Number(
                    "CPU in use",
                    "Part of the time in which the CPUs are not idle.",
                    "percent",
                    [
                        Query(
                            CPU_IN_USE,
                            "{{instance}}",
                        )
                    ],
                    limits=(80, 90),
                ),
                Number(
                    "Memory in use",
                    "Memory that no program could be given.",
                    "percent",
                    [
                        Query(
                            MEMORY_IN_USE,
                            "{{instance}}",
                        )
                    ],
                    limits=(85, 90),
                ),
                Number(
                    "Fullest file system",
                    "Space in use on the file system that has least left.",
                    "percent",
                    [
                        Query(
                            "max by (instance) (100 - 100 *"
                            f" {chosen('node_filesystem_avail_bytes', _DISK)}"
                            f" / {chosen('node_filesystem_size_bytes', _DISK)})",
                            "{{instance}}",
                        )
                    ],
                    limits=(80, 90),
                ),
                Number(
                    "Running for",
                    "Time since the machine was started.",
                    "s",
                    [
                        Query(
                            f"{chosen('node_time_seconds')} - {chosen('node_boot_time_seconds')}",
                            "{{instance}}",
                        )
                    ],
                ),
            ],
        ),
        (
            "CPU and memory",
            [
                Lines(
                    "CPU by mode",
                    "CPU time by what it is used for, in cores.",
                    "short",
                    [
                        Query(
                            f"sum by (mode) ({_BUSY})",
                            "{{mode}}",
                        )
                    ],
                    stacked=True,
                ),
                Lines(
                    "Load",
                    "Processes that run or wait, on average of one, five and fifteen minutes.",
                    "short",
                    [
                        Query(chosen(f"node_load{minutes}"), f"{{{{instance}}}} {minutes} min")
                        for minutes in (1, 5, 15)
                    ],
                ),
                Lines(
                    "Memory",
                    "Memory by what it is used for.",
                    _BYTES,
                    [
                        Query(
                            f"sum({_memory('MemTotal')}) - sum({_memory('MemFree')})"
                            f" - sum({_memory('Buffers')}) - sum({_memory('Cached')})",
                            "programs",
                        ),
                        Query(f"sum({_memory('Buffers')})", "buffers"),
                        Query(f"sum({_memory('Cached')})", "cached"),
                        Query(f"sum({_memory('MemFree')})", "free"),
                    ],
                    stacked=True,
                ),
            ],
        ),
        (
            "Disks",
            [
                Lines(
                    "Space in use",
                    "Space in use, by file system.",
                    "percent",
                    [
                        Query(
                            "max by (instance, mountpoint) (100 - 100 *"
                            f" {chosen('node_filesystem_avail_bytes', _DISK)}"
                            f" / {chosen('node_filesystem_size_bytes', _DISK)})",
                            "{{instance}} {{mountpoint}}",
                        )
                    ],
                    limits=(80, 90),
                    most=100,
                ),
                Lines(
                    "Read and written",
                    "What is read from and written to disks.",
                    "Bps",
                    [
                        Query(
                            f"sum by (device) ({rate(f'node_disk_{what}_bytes_total')})",
                            f"{{{{device}}}} {what}",
                        )
                        for what in ("read", "written")
                    ],
                ),
                Lines(
                    "Busy",
                    "Part of the time in which a disk has something to do.",
                    "percentunit",
                    [
                        Query(
                            "max by (instance, device)"
                            f" ({rate('node_disk_io_time_seconds_total')})",
                            "{{instance}} {{device}}",
                        )
                    ],
                ),
            ],
        ),
        (
            "Network and limits",
            [
                Lines(
                    "Network",
                    "What is received and sent.",
                    "Bps",
                    [
                        Query(
                            "sum by (instance)"
                            f" ({rate(f'node_network_{what}_bytes_total', _LINKS)})",
                            f"{{{{instance}}}} {what}",
                        )
                        for what in ("receive", "transmit")
                    ],
                ),
                Lines(
                    "Open files",
                    "Files that are open, of those that may be.",
                    "percentunit",
                    [
                        Query(
                            f"{chosen('node_filefd_allocated')} / {chosen('node_filefd_maximum')}",
                            "{{instance}}",
                        )
                    ],
                ),
                Lines(
                    "Processes",
                    "Processes that run, and that wait for a disk.",
                    "short",
                    [
                        Query(chosen("node_procs_running"), "{{instance}} running"),
                        Query(chosen("node_procs_blocked"), "{{instance}} blocked"),
                    ],
                ),
            ],
        ),
    ],
)
