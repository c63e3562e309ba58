"""The scrape jobs of a stack's exporters."""

from firewatch.api.exporters import CustomExporter, Kubelet
from firewatch.api.metrics import Metrics
from firewatch.api.postgres import PostgresExporter
from firewatch.api.resource import Object, parse_duration
from firewatch.api.scraping import Scheme
from firewatch.build import names
from firewatch.build.cluster_scope import granted_kube_state_metrics, granted_kubelet
from firewatch.build.objects import Stack
from firewatch.build.postgres_exporter import instance
from firewatch.build.probes import build_health_jobs, build_probe_jobs
from firewatch.build.surroundings import Surroundings
from firewatch.build.usable import usable_databases, usable_journeys, usable_real_users

_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"

# Large, always zero, or told better by kube-state-metrics. Everything that the runbook reads stays,
# container_cpu_user_seconds_total and container_cpu_system_seconds_total among it.
_HARDLY_USED = (
    "container_cpu_load_average_10s"
    "|container_fs_(io_current|io_time_seconds_total|io_time_weighted_seconds_total"
    "|reads_merged_total|sector_reads_total|sector_writes_total|writes_merged_total)"
    "|container_memory_(mapped_file|swap)"
    "|container_(file_descriptors|tasks_state|threads_max|ulimits_soft)"
    "|container_spec_.*"
    "|container_blkio_device_usage_total"
)
# One target tells of a whole cluster or node, for which the limit of a usual exporter is too low.
_CLUSTER_SAMPLES = 1_000_000
_NODE_SAMPLES = 200_000
_TIMEOUT = "10s"
"""Prometheus' own default."""
_PLUGIN_INTERFACES = "container_network_.*;(cali|cilium|cni|lxc|nodelocaldns|tunl|veth).*"


def build_exporter_jobs(stack: Stack, metrics: Metrics, surroundings: Surroundings) -> list[Object]:
    """Return the jobs of the exporters, in a fixed order."""
    exporters = stack.spec.exporters
    jobs: list[Object] = []
    if exporters.node:
        jobs.append(_pods_job(stack, "node", names.NODE_EXPORTER))
    if state := granted_kube_state_metrics(stack, surroundings):
        name, port = names.kube_state_metrics_name(stack.name), names.KUBE_STATE_METRICS_PORT
        address = names.service_address(name, stack.namespace, port)
        job = _service_job("kube-state-metrics", address, interval=state.interval)
        jobs.append({**job, "sample_limit": _CLUSTER_SAMPLES})
    if kubelet := granted_kubelet(stack, surroundings):
        jobs += _kubelet_jobs(kubelet)
    if gateway := exporters.pushgateway:
        name, port = names.pushgateway_name(stack.name), names.PUSHGATEWAY_PORT
        address = names.service_address(name, stack.namespace, port)
        jobs.append(_service_job("pushgateway", address, interval=gateway.interval))
    if stack.spec.alerting:
        jobs.append(_servers_job(stack, names.ALERTMANAGER_JOB, names.ALERTMANAGER))
    if stack.spec.visualization:
        jobs.append(_servers_job(stack, names.GRAFANA_JOB, names.GRAFANA))
    jobs += (_postgres_job(stack, each) for each in usable_databases(stack, surroundings))
    jobs += build_probe_jobs(stack, metrics.scrape_interval)
    jobs += build_health_jobs(stack)
    if usable_journeys(stack, surroundings):
        name, port = names.journeys_name(stack.name), names.JOURNEYS_PORT
        address = names.service_address(name, stack.namespace, port)
        targets = [{"targets": [address]}]
        jobs.append({"job_name": names.JOURNEYS_JOB, "static_configs": targets})
    if usable_real_users(stack, surroundings):
        jobs.append(_servers_job(stack, names.RUM_JOB, names.RUM, port="metrics"))
    return [*jobs, *(_custom_job(stack, each) for each in exporters.custom)]


def _servers_job(stack: Stack, job_name: str, application: str, *, port: str = "http") -> Object:
    """Return a job whose targets are the pods of a server of the stack."""
    job = _pods_job(stack, job_name, application)
    job["relabel_configs"] += [
        {
            # Some have a port for each other as well, or a container without one.
            "source_labels": ["__meta_kubernetes_pod_container_port_name"],
            "regex": port,
            "action": "keep",
        },
        {"source_labels": ["__meta_kubernetes_pod_name"], "target_label": "pod"},
    ]
    return job


def _pods_job(stack: Stack, job: str, application: str) -> Object:
    """Return a job whose targets are the pods of a program of the stack."""
    labels = names.selector(stack.name, application)
    return {
        "job_name": job,
        "kubernetes_sd_configs": [
            {
                "role": "pod",
                "namespaces": {"names": [stack.namespace]},
                "selectors": [
                    {
                        "role": "pod",
                        "label": ",".join(f"{k}={v}" for k, v in sorted(labels.items())),
                    }
                ],
            }
        ],
        "relabel_configs": [
            {
                "source_labels": ["__meta_kubernetes_pod_phase"],
                "regex": "Failed|Succeeded",
                "action": "drop",
            }
        ],
    }


def _service_job(name: str, address: str, *, interval: str | None) -> Object:
    """Return the job of a program that tells of others and so sets their labels itself."""
    return {
        "job_name": name,
        "honor_labels": True,
        **_every(interval),
        "static_configs": [{"targets": [address]}],
    }


def _every(interval: str | None) -> Object:
    """Return an interval and its timeout, which left out is at most the stack's own interval."""
    if not interval:
        return {}
    is_short = parse_duration(interval) < parse_duration(_TIMEOUT)
    return {"scrape_interval": interval, "scrape_timeout": interval if is_short else _TIMEOUT}


def _kubelet_jobs(kubelet: Kubelet) -> list[Object]:
    jobs: list[Object] = [
        {"job_name": "kubelet", **_every(kubelet.interval), **_nodes(kubelet)},
    ]
    cadvisor = kubelet.cadvisor
    if cadvisor.enabled:
        job: Object = {
            "job_name": "cadvisor",
            "metrics_path": "/metrics/cadvisor",
            **_every(cadvisor.interval or kubelet.interval),
            # cAdvisor dates its samples itself; a container that is gone would linger otherwise.
            "track_timestamps_staleness": True,
            "sample_limit": _NODE_SAMPLES,
            **_nodes(kubelet),
        }
        if not cadvisor.keep_all:
            job["metric_relabel_configs"] = _hardly_used()
        jobs.append(job)
    return jobs


def _nodes(kubelet: Kubelet) -> Object:
    """Return how the kubelets are found and spoken to, as an account with ``nodes/metrics``."""
    tls: Object = {"ca_file": f"{_ACCOUNT}/ca.crt"}
    if kubelet.insecure_skip_verify:
        tls = {"insecure_skip_verify": True}
    return {
        "scheme": "https",
        "authorization": {"credentials_file": f"{_ACCOUNT}/token"},
        "tls_config": tls,
        "kubernetes_sd_configs": [{"role": "node"}],
        "relabel_configs": [
            {"source_labels": ["__meta_kubernetes_node_name"], "target_label": "node"}
        ],
    }


def _hardly_used() -> list[Object]:
    return [
        {"source_labels": ["__name__"], "regex": _HARDLY_USED, "action": "drop"},
        {
            "source_labels": ["__name__", "scope"],
            "regex": "container_memory_failures_total;hierarchy",
            "action": "drop",
        },
        {
            "source_labels": ["__name__", "interface"],
            "regex": _PLUGIN_INTERFACES,
            "action": "drop",
        },
        # Slices of the system and sums over pods, which the containers' own series add up to.
        {"source_labels": ["id", "pod"], "regex": ".+;", "action": "drop"},
    ]


def _postgres_job(stack: Stack, exporter: PostgresExporter) -> Object:
    name = names.postgres_exporter_name(stack.name, exporter.name)
    address = names.service_address(name, stack.namespace, names.POSTGRES_EXPORTER_PORT)
    labels = {"job": names.POSTGRES_JOB, "instance": instance(exporter)}
    return {
        "job_name": f"{names.POSTGRES_JOB}/{exporter.name}",
        **_every(exporter.interval),
        "static_configs": [{"targets": [address], "labels": labels}],
    }


def _custom_job(stack: Stack, exporter: CustomExporter) -> Object:
    name = names.custom_exporter_name(stack.name, exporter.name)
    address = names.service_address(name, stack.namespace, exporter.port)
    job: Object = {
        # A name that no scrape job can have.
        "job_name": f"exporter/{exporter.name}",
        "metrics_path": exporter.path,
        **_every(exporter.interval),
    }
    if exporter.scheme is Scheme.HTTPS:
        job["scheme"] = "https"
    if exporter.insecure_skip_verify:
        job["tls_config"] = {"insecure_skip_verify": True}
    return {
        **job,
        "static_configs": [{"targets": [address], "labels": {"job": exporter.name}}],
    }
