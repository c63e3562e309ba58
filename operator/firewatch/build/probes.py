"""Synthetic probes: the scrape jobs that have the blackbox exporter probe their targets."""

import re
from collections.abc import Mapping

from firewatch.api.blackbox import ProbeModule, Prober
from firewatch.api.resource import Object, parse_duration
from firewatch.api.stack import MonitoringStackSpec
from firewatch.api.synthetic import HealthCheck, Probe
from firewatch.build import names
from firewatch.build.blackbox_config import check_module, modules_of
from firewatch.build.objects import Stack

_PORT = r"(:[0-9]{1,5})"
_HOST = r"([^\s/:\[\]]+|\[[0-9a-fA-F:.]+\])"
_IPV6 = r"[0-9a-fA-F]*:[0-9a-fA-F]*:[0-9a-fA-F:.]*"
_FORMS: Mapping[Prober, tuple[re.Pattern[str], str]] = {
    Prober.HTTP: (
        re.compile(rf"(https?://)?{_HOST}{_PORT}?([/?#].*)?"),
        "a URL, as https://example.org/health",
    ),
    Prober.TCP: (re.compile(rf"{_HOST}{_PORT}"), "host:port, as db:5432"),
    Prober.ICMP: (re.compile(rf"{_HOST}|{_IPV6}"), "a host without port, as 10.0.0.1"),
    Prober.DNS: (re.compile(rf"{_HOST}{_PORT}?"), "a DNS server, as 10.0.0.10 or dns:53"),
}
_SCRAPE_TIMEOUT = 10.0
# The exporter ends a probe half a second before Prometheus would give up.
_MARGIN = 1.0


def find_unfit_targets(spec: MonitoringStackSpec) -> list[str]:
    """Return in words the probes and targets that are left out, since they cannot work."""
    found = []
    modules = _modules(spec)
    for probe in spec.synthetic.probes:
        module = modules.get(probe.module)
        if module is None:
            found.append(
                f"{probe.name} left out: exporters.blackbox has no module {probe.module}; its"
                f" modules are {', '.join(sorted(modules))}"
            )
            continue
        _, form = _FORMS[module.prober]
        found += [
            f"{probe.name}: target {target} left out: prober {module.prober.value} takes {form}"
            for target in probe.targets
            if not _fits(module, target)
        ]
    return found


def build_probe_jobs(stack: Stack, interval: str) -> list[Object]:
    """Return a scrape job for each probe; ``interval`` holds where a probe names none."""
    spec = stack.spec
    if spec.exporters.blackbox is None:
        return []
    modules = _modules(spec)
    address = names.service_address(
        names.blackbox_name(stack.name), stack.namespace, names.BLACKBOX_PORT
    )
    jobs = []
    for probe in spec.synthetic.probes:
        module = modules.get(probe.module)
        if module and (targets := [each for each in probe.targets if _fits(module, each)]):
            timeout = _timeout(module, probe.interval or interval)
            jobs.append(_job(probe, targets, address=address, timeout=timeout))
    return jobs


def build_health_jobs(stack: Stack) -> list[Object]:
    """Return a scrape job for each health check."""
    if stack.spec.exporters.blackbox is None:
        return []
    address = names.service_address(
        names.blackbox_name(stack.name), stack.namespace, names.BLACKBOX_PORT
    )
    return [_health_job(check, address) for check in stack.spec.synthetic.health_checks]


def _health_job(check: HealthCheck, address: str) -> Object:
    wanted = parse_duration(check.timeout) + _MARGIN
    timeout = min(wanted, parse_duration(check.interval))
    labels = {name: check.labels[name] for name in sorted(check.labels)}
    return {
        "job_name": f"{names.HEALTH_JOB}/{check.name}",
        "metrics_path": "/probe",
        "params": {"module": [check_module(check)]},
        "scrape_interval": check.interval,
        "scrape_timeout": f"{round(timeout * 1000)}ms",
        "static_configs": [
            {
                "targets": [check.url],
                "labels": {**labels, "job": names.HEALTH_JOB, "probe": check.name},
            }
        ],
        "relabel_configs": _relabeling(address),
    }


def _relabeling(address: str) -> list[Object]:
    """Return what has the exporter at an address ask what stands as the target."""
    return [
        {"source_labels": ["__address__"], "target_label": "__param_target"},
        {"source_labels": ["__address__"], "target_label": "instance"},
        {"target_label": "__address__", "replacement": address},
    ]


def _modules(spec: MonitoringStackSpec) -> dict[str, ProbeModule]:
    return modules_of(spec.exporters.blackbox) if spec.exporters.blackbox else {}


def _fits(module: ProbeModule, target: str) -> bool:
    pattern, _ = _FORMS[module.prober]
    return pattern.fullmatch(target) is not None


def _job(probe: Probe, targets: list[str], *, address: str, timeout: str | None) -> Object:
    labels = {name: probe.labels[name] for name in sorted(probe.labels)}
    job: Object = {
        "job_name": f"{names.BLACKBOX_JOB}/{probe.name}",
        "metrics_path": "/probe",
        "params": {"module": [probe.module]},
    }
    if probe.interval:
        job["scrape_interval"] = probe.interval
    if timeout:
        job["scrape_timeout"] = timeout
    return {
        **job,
        "static_configs": [
            {
                "targets": targets,
                "labels": {**labels, "job": names.BLACKBOX_JOB, "probe": probe.name},
            }
        ],
        "relabel_configs": _relabeling(address),
    }


def _timeout(module: ProbeModule, interval: str) -> str | None:
    """Return the scrape's timeout if the module's own does not fit into the usual one."""
    if module.timeout is None:
        return None
    wanted = parse_duration(module.timeout) + _MARGIN
    if wanted <= _SCRAPE_TIMEOUT:
        return None
    return f"{round(min(wanted, parse_duration(interval)) * 1000)}ms"
