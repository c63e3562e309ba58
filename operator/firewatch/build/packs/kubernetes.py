"""Alerts on workloads and nodes of the cluster, as kube-state-metrics and kubelet tell of them."""

from collections.abc import Iterator

from firewatch.api.packs import KubernetesPack
from firewatch.build.packs.alert import CRITICAL, WARNING, Alert
from firewatch.build.promql import number

_STATE = 'job="kube-state-metrics"'
_POD = "{{ $labels.namespace }}/{{ $labels.pod }}"


def kubernetes_alerts(wanted: KubernetesPack) -> Iterator[Alert]:
    """Yield the alerts of the pack ``kubernetes``."""
    yield from _pod_alerts(wanted)
    yield from _workload_alerts(wanted)
    yield from _node_alerts(wanted)
    yield Alert(
        "VolumeNearlyFull",
        'kubelet_volume_stats_available_bytes{job="kubelet"}'
        ' / kubelet_volume_stats_capacity_bytes{job="kubelet"} * 100'
        f" < {number(wanted.volume_free_percent)}",
        "5m",
        CRITICAL,
        "Volume {{ $labels.namespace }}/{{ $labels.persistentvolumeclaim }} is nearly full.",
        '{{ $value | printf "%.1f" }} percent are free.',
    )
    yield Alert(
        "QuotaNearlyReached",
        f'kube_resourcequota{{{_STATE},type="used"}} * 100 / ignoring (type)'
        f' (kube_resourcequota{{{_STATE},type="hard"}} > 0) > {number(wanted.quota_percent)}',
        "15m",
        WARNING,
        "Quota {{ $labels.resourcequota }} of {{ $labels.namespace }} is nearly reached.",
        '{{ $value | printf "%.0f" }} percent of {{ $labels.resource }} are used; what goes beyond it'
        " is refused.",
    )


def _pod_alerts(wanted: KubernetesPack) -> Iterator[Alert]:
    crashing = f'kube_pod_container_status_waiting_reason{{{_STATE},reason="CrashLoopBackOff"}}[5m]'
    yield Alert(
        "PodCrashing",
        f"max_over_time({crashing}) >= 1",
        wanted.pending_for,
        WARNING,
        f"Container {{{{ $labels.container }}}} of pod {_POD} ends again and again.",
        "kubelet starts it ever more seldom.",
    )
    yield Alert(
        "PodNotReady",
        f'sum by (namespace, pod) (kube_pod_status_phase{{{_STATE},phase=~"Pending|Unknown"}}) > 0',
        wanted.pending_for,
        WARNING,
        f"Pod {_POD} does not start.",
        f"It has been pending, or its node has said nothing of it, for {wanted.pending_for}.",
    )
    yield Alert(
        "ContainerOutOfMemory",
        "increase(kube_pod_container_status_restarts_total"
        f"{{{_STATE}}}[10m]) > 0 and on (namespace, pod, container)"
        f' kube_pod_container_status_last_terminated_reason{{{_STATE},reason="OOMKilled"}} == 1',
        "0s",
        WARNING,
        f"Container {{{{ $labels.container }}}} of pod {_POD} wanted more memory than its limit.",
        "It was ended and started again.",
    )


def _workload_alerts(wanted: KubernetesPack) -> Iterator[Alert]:
    for kind, title, asked, there in (
        ("deployment", "Deployment", "spec_replicas", "status_replicas_available"),
        ("statefulset", "StatefulSet", "replicas", "status_replicas_ready"),
        (
            "daemonset",
            "DaemonSet",
            "status_desired_number_scheduled",
            "status_number_available",
        ),
    ):
        yield Alert(
            f"{title}PodsMissing",
            f"kube_{kind}_{asked}{{{_STATE}}} - kube_{kind}_{there}{{{_STATE}}} > 0",
            wanted.pending_for,
            WARNING,
            f"{title} {{{{ $labels.namespace }}}}/{{{{ $labels.{kind} }}}} has too few pods.",
            "{{ $value }} of those that it should have are not ready.",
        )
    yield Alert(
        "JobFailed",
        f'kube_job_failed{{{_STATE},condition="true"}} > 0',
        "0s",
        WARNING,
        "Job {{ $labels.namespace }}/{{ $labels.job_name }} has failed.",
        "It is not tried again. The alert ends when the Job is deleted.",
    )
    yield Alert(
        "AutoscalerAtItsLimit",
        f"kube_horizontalpodautoscaler_status_current_replicas{{{_STATE}}}"
        f" >= kube_horizontalpodautoscaler_spec_max_replicas{{{_STATE}}}"
        f" and kube_horizontalpodautoscaler_spec_max_replicas{{{_STATE}}}"
        f" > kube_horizontalpodautoscaler_spec_min_replicas{{{_STATE}}}",
        wanted.pending_for,
        WARNING,
        "HorizontalPodAutoscaler {{ $labels.namespace }}/{{ $labels.horizontalpodautoscaler }} is at"
        " its limit.",
        "It has {{ $value }} replicas and may not make more.",
    )


def _node_alerts(wanted: KubernetesPack) -> Iterator[Alert]:
    yield Alert(
        "NodeNotReady",
        f'kube_node_status_condition{{{_STATE},condition="Ready",status="true"}} == 0',
        wanted.pending_for,
        CRITICAL,
        "Node {{ $labels.node }} is not ready.",
        "Nothing new starts there, and its pods are moved elsewhere.",
    )
    pressure = 'condition=~"MemoryPressure|DiskPressure|PIDPressure",status="true"'
    yield Alert(
        "NodeUnderPressure",
        f"kube_node_status_condition{{{_STATE},{pressure}}} == 1",
        "5m",
        WARNING,
        "Node {{ $labels.node }} has {{ $labels.condition }}.",
        "kubelet evicts pods from it.",
    )
