"""Workloads of a cluster, by kube-state-metrics and the kubelets' cAdvisor."""

from dashboards.parts import Board, Lines, Number, Query, Variable
from dashboards.promql import chosen, rate

_SPACE = 'namespace=~"$namespace"'
_CONTAINER = 'container!=""'


def _usage(metric: str) -> str:
    """Return CPU or memory by pod: cAdvisor counts each container once."""
    inner = (
        rate(metric, _SPACE, _CONTAINER)
        if metric.endswith("_total")
        else chosen(metric, _SPACE, _CONTAINER)
    )
    return f"topk(10, sum by (namespace, pod) ({inner}))"


WORKLOADS = Board(
    "firewatch-workloads",
    "Kubernetes Workloads",
    "Whether what should run does, and what it uses.",
    "whoever is on call for what runs in the cluster.",
    "kube_pod_info",
    [
        (
            "At a glance",
            [
                Number(
                    "Replicas missing",
                    "Replicas of Deployments and StatefulSets that are wanted and not ready.",
                    "short",
                    [
                        Query(
                            f"sum({chosen('kube_deployment_spec_replicas', _SPACE)})"
                            f" - sum({chosen('kube_deployment_status_replicas_available', _SPACE)})",
                            "Deployments",
                        ),
                        Query(
                            f"sum({chosen('kube_statefulset_replicas', _SPACE)})"
                            f" - sum({chosen('kube_statefulset_status_replicas_ready', _SPACE)})",
                            "StatefulSets",
                        ),
                    ],
                    limits=(1, 3),
                ),
                Lines(
                    "Pods by phase",
                    "Pods by the phase that they are in.",
                    "short",
                    [
                        Query(
                            f"sum by (phase) ({chosen('kube_pod_status_phase', _SPACE)})",
                            "{{phase}}",
                        )
                    ],
                    stacked=True,
                ),
                Lines(
                    "Restarts",
                    "Containers that were started again, in an hour.",
                    "short",
                    [
                        Query(
                            "topk(10, sum by (namespace, pod) (increase("
                            f"{chosen('kube_pod_container_status_restarts_total', _SPACE)}[1h])))",
                            "{{namespace}} {{pod}}",
                        )
                    ],
                ),
            ],
        ),
        (
            "Usage of the ten largest pods",
            [
                Lines(
                    "CPU",
                    "CPU time that a pod uses, in cores.",
                    "short",
                    [
                        Query(
                            _usage("container_cpu_usage_seconds_total"),
                            "{{namespace}} {{pod}}",
                        )
                    ],
                ),
                Lines(
                    "Memory",
                    "Memory that a pod holds and that cannot be taken back from it.",
                    "bytes",
                    [
                        Query(
                            _usage("container_memory_working_set_bytes"),
                            "{{namespace}} {{pod}}",
                        )
                    ],
                ),
            ],
        ),
        (
            "Network",
            [
                Lines(
                    what.capitalize(),
                    f"What a pod has {what}, of the ten with most.",
                    "Bps",
                    [
                        Query(
                            "topk(10, sum by (namespace, pod)"
                            f" ({rate(f'container_network_{metric}_bytes_total', _SPACE)}))",
                            "{{namespace}} {{pod}}",
                        )
                    ],
                )
                for what, metric in (("received", "receive"), ("sent", "transmit"))
            ],
        ),
        (
            "Wanted and there",
            [
                Lines(
                    "Replicas of Deployments",
                    "Replicas that are available, of those that are wanted.",
                    "percentunit",
                    [
                        Query(
                            f"{chosen('kube_deployment_status_replicas_available', _SPACE)}"
                            f" / ({chosen('kube_deployment_spec_replicas', _SPACE)} > 0)",
                            "{{namespace}} {{deployment}}",
                        )
                    ],
                ),
                Lines(
                    "Containers that wait",
                    "Containers that cannot be started, by what they wait for.",
                    "short",
                    [
                        Query(
                            "sum by (namespace, reason)"
                            f" ({chosen('kube_pod_container_status_waiting_reason', _SPACE)})",
                            "{{namespace}} {{reason}}",
                        )
                    ],
                    empty="none waits",
                ),
            ],
        ),
    ],
    [
        Variable(
            "namespace",
            "Namespace",
            'label_values(kube_pod_info{job=~"$job", instance=~"$instance"}, namespace)',
        )
    ],
)
