"""node_exporter: a DaemonSet that sees the machines, read-only."""

from firewatch.api.exporters import NodeExporter
from firewatch.api.resource import Object
from firewatch.build import names, versions
from firewatch.build.objects import Part, Stack, http_probe
from firewatch.build.pods import Program, pod_template

_REQUESTS = {"cpu": "50m", "memory": "64Mi"}
_ROOT = "/host/root"

# Mounts of containers and of the kernel are not file systems that fill up. Unlike the exporter's
# own default, overlay is not left out by type, since it is the root of some machines.
_MOUNTS = r"^/(dev|proc|run|sys|var/lib/(containerd|containers|docker|kubelet|rancher)/.+)($|/)"
_TYPES = (
    r"^(autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|efivarfs|fusectl|hugetlbfs"
    r"|iso9660|mqueue|nsfs|proc|procfs|pstore|ramfs|rpc_pipefs|securityfs|selinuxfs|squashfs|erofs"
    r"|sysfs|tmpfs|tracefs)$"
)
_DEVICES = r"^(veth.*|cali.*|lxc.*|[a-f0-9]{15})$"


LAST_WORDS = "FallbackToLogsOnError"
"""Policy by which the end of a container's log shows in the status of its pod."""


def build_node_exporter(stack: Stack, exporter: NodeExporter, *, last_words: bool) -> Object:
    """Return the DaemonSet; with ``last_words`` its pods say what they ended with.

    Host network, host PID and the host's root are the one named exception to the hardened defaults:
    without them it would measure its own container.
    """
    part = Part(stack, names.node_exporter_name(stack.name), names.NODE_EXPORTER, names.EXPORTERS)
    spec: Object = {
        "selector": {"matchLabels": part.selector()},
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "10%"}},
        "template": pod_template(part, exporter, _program(exporter, last_words=last_words)),
    }
    return {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": part.meta(), "spec": spec}


def _program(exporter: NodeExporter, *, last_words: bool) -> Program:
    return Program(
        name="node-exporter",
        image=versions.NODE_EXPORTER,
        args=[
            f"--path.rootfs={_ROOT}",
            f"--path.sysfs={_ROOT}/sys",
            f"--path.udev.data={_ROOT}/run/udev/data",
            f"--web.listen-address=:{exporter.port}",
            f"--collector.filesystem.mount-points-exclude={_MOUNTS}",
            f"--collector.filesystem.fs-types-exclude={_TYPES}",
            f"--collector.netdev.device-exclude={_DEVICES}",
            f"--collector.netclass.ignored-devices={_DEVICES}",
        ],
        requests=_REQUESTS,
        container={
            "ports": [{"name": "http", "containerPort": exporter.port, "protocol": "TCP"}],
            **({"terminationMessagePolicy": LAST_WORDS} if last_words else {}),
            "readinessProbe": http_probe("/", period=10, failures=3),
            "livenessProbe": http_probe("/", period=30, failures=3),
            "volumeMounts": [
                {
                    "name": "root",
                    "mountPath": _ROOT,
                    "mountPropagation": "HostToContainer",
                    "readOnly": True,
                }
            ],
        },
        pod={
            "hostNetwork": True,
            "hostPID": True,
            "volumes": [{"name": "root", "hostPath": {"path": "/"}}],
        },
        tolerations=[{"operator": "Exists"}],
    )
