"""The scrape jobs of a MonitoringStack in Prometheus' words."""

from firewatch.api.resource import Object
from firewatch.api.scraping import LabelSelector, Limits, ScrapeJob
from firewatch.build.http_client import http_client
from firewatch.build.relabeling import relabelings

ANYWHERE = "*"

_SERVICE = "__meta_kubernetes_service_name"
_POD = "__meta_kubernetes_pod_name"
_NAMESPACE = "__meta_kubernetes_namespace"
_CONTAINER = "__meta_kubernetes_pod_container_name"


def build_scrape_job(job: ScrapeJob, namespace: str) -> Object:
    """Return a scrape configuration; ``namespace`` is the stack's own."""
    found: Object = {"job_name": job.name, "metrics_path": job.path}
    if job.scheme != "http":
        found["scheme"] = job.scheme.value
    optional = {
        "params": {name: [*job.params[name]] for name in sorted(job.params)},
        "scrape_interval": job.interval,
        "scrape_timeout": job.timeout,
        "honor_labels": job.honor_labels,
        "fallback_scrape_protocol": (
            job.fallback_scrape_protocol and job.fallback_scrape_protocol.value
        ),
    }
    found |= {name: value for name, value in optional.items() if value}
    if not job.honor_timestamps:
        found["honor_timestamps"] = False
    found |= {**limits(job), **http_client(job), **_targets(job, namespace)}
    steps = [*_own_steps(job), *relabelings(job.relabelings)]
    if steps:
        found["relabel_configs"] = steps
    if job.metric_relabelings:
        found["metric_relabel_configs"] = relabelings(job.metric_relabelings)
    return found


def limits(wanted: Limits) -> Object:
    """Return limits as fields of a job or of the section ``global``."""
    fields = {
        "sample_limit": wanted.sample_limit,
        "target_limit": wanted.target_limit,
        "label_limit": wanted.label_limit,
        "label_name_length_limit": wanted.label_name_length_limit,
        "label_value_length_limit": wanted.label_value_length_limit,
    }
    return {name: value for name, value in fields.items() if value is not None}


def is_foreign(job: ScrapeJob, namespace: str) -> bool:
    """Tell whether a job looks into other namespaces than the stack's own."""
    return any(wanted != namespace for wanted in job.namespaces)


def _targets(job: ScrapeJob, namespace: str) -> Object:
    if job.targets:
        static: Object = {"targets": [*job.targets]}
        if job.labels:
            static["labels"] = {name: job.labels[name] for name in sorted(job.labels)}
        return {"static_configs": [static]}
    discovery: Object = {"role": "pod" if job.pod_selector is not None else "endpointslice"}
    if ANYWHERE not in job.namespaces:
        discovery["namespaces"] = {"names": sorted(set(job.namespaces or [namespace]))}
    role, selector = _selector(job)
    if text := render_selector(selector):
        discovery["selectors"] = [{"role": role, "label": text}]
    return {"kubernetes_sd_configs": [discovery]}


def _selector(job: ScrapeJob) -> tuple[str, LabelSelector]:
    if job.pod_selector is not None:
        return "pod", job.pod_selector
    assert job.service_selector is not None
    return "service", job.service_selector


def render_selector(selector: LabelSelector) -> str:
    """Return a label selector as the API takes it in a query."""
    parts = [f"{key}={value}" for key, value in sorted(selector.match_labels.items())]
    for each in sorted(selector.match_expressions, key=lambda each: (each.key, each.operator)):
        values = ",".join(sorted(each.values))
        parts.append(
            {
                "In": f"{each.key} in ({values})",
                "NotIn": f"{each.key} notin ({values})",
                "Exists": each.key,
                "DoesNotExist": f"!{each.key}",
            }[each.operator.value]
        )
    return ",".join(parts)


def _own_steps(job: ScrapeJob) -> list[Object]:
    """Return how the targets of a selector are chosen and labelled."""
    if job.targets:
        return []
    assert job.port
    number = job.port.isdecimal()
    if job.pod_selector is not None:
        source = "__meta_kubernetes_pod_container_port_" + ("number" if number else "name")
        chosen = [_keep(source, job.port)]
    else:
        source = "__meta_kubernetes_endpointslice_port" + ("" if number else "_name")
        # Slices of Services that were not selected come as well, without what is known of a Service.
        chosen = [_keep(_SERVICE, ".+"), _keep(source, job.port)]
    return [
        *chosen,
        {
            "source_labels": ["__meta_kubernetes_pod_phase"],
            "regex": "Failed|Succeeded",
            "action": "drop",
        },
        _copy(_NAMESPACE, "namespace"),
        *([_copy(_SERVICE, "service")] if job.service_selector is not None else []),
        _copy(_POD, "pod"),
        _copy(_CONTAINER, "container"),
        *(
            {"target_label": name, "replacement": job.labels[name].replace("$", "$$")}
            for name in sorted(job.labels)
        ),
    ]


def _keep(source: str, regex: str) -> Object:
    return {"source_labels": [source], "regex": regex, "action": "keep"}


def _copy(source: str, target: str) -> Object:
    return {"source_labels": [source], "target_label": target}
