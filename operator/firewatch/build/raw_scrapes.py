"""Scrape jobs in Prometheus' own words, from a Secret of the user into one of ours.

They may hold credentials, so that they never stand in a ConfigMap; Prometheus reads them as one of
its ``scrape_config_files``. It takes such a file whole or not at all, so that jobs which it would
stumble over are left out here. What is said of them holds nothing of their text.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import yaml

from firewatch.api.metrics import RESERVED_JOBS, Metrics
from firewatch.api.resource import Object, SecretKeySelector
from firewatch.build import names
from firewatch.build.objects import Part, Stack, secret

_FIELDS = frozenset(
    {
        *("job_name", "scrape_interval", "scrape_timeout", "metrics_path", "scheme", "params"),
        *("honor_labels", "honor_timestamps", "track_timestamps_staleness"),
        *("scrape_protocols", "fallback_scrape_protocol", "scrape_native_histograms"),
        *("always_scrape_classic_histograms", "convert_classic_histograms_to_nhcb"),
        *("enable_compression", "body_size_limit", "sample_limit", "target_limit", "label_limit"),
        *("label_name_length_limit", "label_value_length_limit", "keep_dropped_targets"),
        *("native_histogram_bucket_limit", "native_histogram_min_bucket_factor"),
        *("metric_name_validation_scheme", "metric_name_escaping_scheme", "extra_scrape_metrics"),
        *("relabel_configs", "metric_relabel_configs", "static_configs"),
        *("authorization", "basic_auth", "oauth2", "tls_config", "bearer_token"),
        *("bearer_token_file", "follow_redirects", "enable_http2", "http_headers"),
        *("proxy_url", "no_proxy", "proxy_from_environment", "proxy_connect_header"),
    }
)
"""Fields of a scrape job, but for the ``…_sd_configs``. Not among them: a log file, since there is
nowhere to write it.
"""
_LARGEST = 400_000
"""Characters: the Secret may have to hold the last good text beside the new one."""
_LISTS = frozenset({"relabel_configs", "metric_relabel_configs", "static_configs"})
_DISCOVERY = "_sd_configs"


@dataclass(frozen=True)
class RawScrapes:
    """What has come of the jobs of a Secret."""

    file: str = ""
    """Name of the file; empty when there is no job in it."""
    text: str = ""
    faults: tuple[str, ...] = ()
    """What is left out, and why."""


def parse_raw_scrapes(text: str, *, version: str, taken: Collection[str]) -> RawScrapes:
    """Return the jobs as Prometheus reads them.

    ``text`` is a list of jobs, as prometheus-operator has it, or one under ``scrape_configs``.
    ``version`` tells one text from another; the hash of a secret is better not shown. ``taken`` are
    the names of the stack's other jobs.
    """
    if len(text) > _LARGEST:
        return RawScrapes(faults=(f"it is longer than {_LARGEST} characters",))
    try:
        # Nodes, not values: a scalar goes to Prometheus as it is written.
        jobs = _jobs(yaml.compose(text, Loader=yaml.CSafeLoader))
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        return RawScrapes(faults=(f"it is not YAML{line}",))
    except (yaml.YAMLError, RecursionError):
        return RawScrapes(faults=("it is not YAML",))
    if jobs is None:
        return RawScrapes(faults=("it is no list of scrape jobs",))
    seen = {*RESERVED_JOBS, *taken}
    kept, faults = [], []
    for number, job in enumerate(jobs, 1):
        if fault := next(_faults(job, seen), None):
            faults.append(f"job {number} {fault}")
        else:
            kept.append(number)
    if not kept:
        return RawScrapes(faults=tuple(faults))
    file = f"jobs-{names.short_hash(f'{version}/{kept}', 16)}.yml"
    return RawScrapes(file, _render([jobs[number - 1] for number in kept]), tuple(faults))


def _jobs(root: yaml.Node | None) -> list[yaml.Node] | None:
    if isinstance(root, yaml.MappingNode) and len(root.value) == 1:
        key, value = root.value[0]
        root = value if key.value == "scrape_configs" else None
    return root.value if isinstance(root, yaml.SequenceNode) else None


def _faults(job: yaml.Node, seen: set[str]) -> Iterator[str]:
    """Yield what is wrong with a job; the name of one that is right is taken then."""
    if not isinstance(job, yaml.MappingNode):
        yield "is no scrape job"
        return
    fields = [(key.value, value) for key, value in job.value if isinstance(key, yaml.ScalarNode)]
    known = dict(fields)
    if len(known) < len(job.value):
        yield "has a field twice, or one whose name is no word"
    if any(name not in _FIELDS and not name.endswith(_DISCOVERY) for name in known):
        yield "has a field that Prometheus does not know"
    lists = (value for name, value in known.items() if name in _LISTS or name.endswith(_DISCOVERY))
    if not all(isinstance(value, yaml.SequenceNode) for value in lists):
        yield "has something else where a list belongs"
    name = known.get("job_name")
    if not isinstance(name, yaml.ScalarNode) or not name.value:
        yield "has no job_name"
        return
    if name.value in seen:
        yield "has the name of another job of this stack"
    seen.add(name.value)


def _render(jobs: list[yaml.Node]) -> str:
    key = yaml.ScalarNode("tag:yaml.org,2002:str", "scrape_configs")
    items = yaml.SequenceNode("tag:yaml.org,2002:seq", jobs)
    root = yaml.MappingNode("tag:yaml.org,2002:map", [(key, items)])
    text: str = yaml.serialize(root, Dumper=yaml.CSafeDumper, allow_unicode=True, width=1_000_000)
    return text


def raw_scrapes_source(metrics: Metrics | None) -> SecretKeySelector | None:
    """Return the key that holds the jobs, if the stack names one."""
    source = metrics.additional_scrape_configs if metrics else None
    return SecretKeySelector(name=source.name, key=source.key) if source else None


def raw_scrapes_path(raw: RawScrapes) -> str:
    """Return where Prometheus finds the file."""
    return f"{names.RAW_SCRAPES_DIRECTORY}/{raw.file}"


def build_raw_scrapes_secret(stack: Stack, files: Mapping[str, str]) -> Object:
    """Return the Secret that Prometheus mounts."""
    part = Part(stack, names.raw_scrapes_name(stack.name), names.PROMETHEUS, names.METRICS)
    return secret(part, {name: text.encode() for name, text in files.items()})
