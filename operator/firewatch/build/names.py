"""Every derived name, label, selector, annotation and path."""

import hashlib
import re

from firewatch.settings import MANAGED_BY, STACK_LABEL

NAME_LABEL = "app.kubernetes.io/name"
INSTANCE_LABEL = "app.kubernetes.io/instance"
COMPONENT_LABEL = "app.kubernetes.io/component"
PART_OF_LABEL = "app.kubernetes.io/part-of"

METRICS = "metrics"
EXPORTERS = "exporters"
ALERTING = "alerting"
VISUALIZATION = "visualization"
SYNTHETIC = "synthetic"
REAL_USERS = "real-users"
NETWORK = "network"
COMPONENTS = (METRICS, EXPORTERS, ALERTING, VISUALIZATION, SYNTHETIC, REAL_USERS, NETWORK)
"""Components of a stack: what its pass makes and prunes."""

RULES = "rules"
"""Component of the rule ConfigMaps, which are made and pruned by the pass over rules."""

DASHBOARDS = "dashboards"
"""Component of the ConfigMaps with dashboards, which are made and pruned by the pass over dashboards."""

TESTS = "tests"
"""Component of the Jobs that run policies' unit tests, which the pass over rules makes and removes."""

CHECKS = "checks"
"""Component of the Jobs that say what is wrong with a configuration; they go by themselves."""

PROMETHEUS = "prometheus"
NODE_EXPORTER = "node-exporter"
ALERTMANAGER = "alertmanager"
GRAFANA = "grafana"
RULE_TESTS = "rule-tests"
BLACKBOX_EXPORTER = "blackbox-exporter"
KUBE_STATE_METRICS = "kube-state-metrics"
PUSHGATEWAY = "pushgateway"
JOURNEYS = "journeys"
RUM = "rum"
"""Applications, as ``app.kubernetes.io/name`` and as the rows of the stack's status."""

ALERTMANAGER_JOB = "alertmanager"
GRAFANA_JOB = "grafana"
PROMETHEUS_JOB = "prometheus"
"""Job by which a Prometheus scrapes itself."""
BLACKBOX_JOB = "blackbox"
"""Label ``job`` of everything that is probed."""
HEALTH_JOB = "health"
"""Label ``job`` of every health check."""
JOURNEYS_JOB = "journeys"
"""Label ``job`` of what journeys come to."""
RUM_JOB = "rum"
"""Label ``job`` of what browsers tell."""
POSTGRES_JOB = "postgres"
"""Label ``job`` of every database."""

CONFIG_ANNOTATION = "monitoring.freeagentics.io/config-revision"
RULES_ANNOTATION = "monitoring.freeagentics.io/rules-revision"
"""On pods: a new value makes kubelet bring the files up to date at once."""
SECRETS_ANNOTATION = "monitoring.freeagentics.io/secrets-revision"
"""On the template of pods that read Secrets when they start: a new value renews them."""

REPLICA_LABEL = "prometheus_replica"
"""External label that tells the servers of a stack apart."""

PROMETHEUS_PORT = 9090
BLACKBOX_PORT = 9115
KUBE_STATE_METRICS_PORT = 8080
PUSHGATEWAY_PORT = 9091
POSTGRES_EXPORTER_PORT = 9187
JOURNEYS_PORT = 9119
RUM_PORT = 8080
RUM_METRICS_PORT = 9120
SLOTS = 32
"""Rule ConfigMaps that a Prometheus pod mounts, whether they exist or not."""

DATA_DIRECTORY = "/prometheus"
CONFIG_DIRECTORY = "/etc/prometheus/config"
RULES_DIRECTORY = "/etc/prometheus/rules"
TOKEN_DIRECTORY = "/etc/prometheus/token"  # noqa: S105 - a path
FILES_DIRECTORY = "/etc/prometheus/files"
RAW_SCRAPES_DIRECTORY = "/etc/prometheus/scrapes"
CONFIG_KEY = "prometheus.yml"
LAST_GOOD_KEY = "last-good.yml"
"""The configuration that Prometheus took last, while it has not confirmed a newer one."""
REFUSED_KEY = "refused.yml"
"""The configuration that the stack asks for and Prometheus does not take."""
COMPLAINT_KEY = "refused.txt"
"""What promtool has against that one; empty if it has nothing."""
WATCHDOG_KEY = "watchdog.rules.yml"
POSTGRES_KEY = "postgres.rules.yml"
PACKS_KEY = "packs.rules.yml"
HEALTH_KEY = "health.rules.yml"
JOURNEYS_KEY = "journeys.rules.yml"
WEB_CONFIG_KEY = "web.yml"
WEB_CONFIG_FLAG = "--web.config.file"
"""With this argument Prometheus serves HTTPS, or does not start."""
BLACKBOX_KEY = "blackbox.yml"
TOKEN_KEY = "token"  # noqa: S105 - a file name

ALERTMANAGER_PORT = 9093
ALERTMANAGER_DATA_DIRECTORY = "/alertmanager"
ALERTMANAGER_CONFIG_DIRECTORY = "/etc/alertmanager/config"
ALERTMANAGER_CONFIG_KEY = "alertmanager.yml"

GRAFANA_PORT = 3000
GRAFANA_FILES_DIRECTORY = "/etc/grafana/files"
GRAFANA_SOURCES_DIRECTORY = "/etc/grafana/provisioning/datasources"
GRAFANA_SOURCES_KEY = "firewatch.yaml"
PROVIDERS_DIRECTORY = "/etc/grafana/provisioning/dashboards"
PROVIDERS_KEY = "firewatch.yaml"
DASHBOARDS_DIRECTORY = "/etc/grafana/dashboards"
DASHBOARD_SLOTS = 16
"""ConfigMaps of dashboards that a Grafana pod mounts, whether they exist or not."""
DASHBOARDS_ANNOTATION = "monitoring.freeagentics.io/dashboards-revision"
"""On Grafana's pods: a new value makes kubelet bring the files up to date at once."""

_LABEL_LIMIT = 63
# A StatefulSet's name plus "-" and a hash of 10 characters is a label of its pods.
_NAME_LIMIT = 52
_HASH_LENGTH = 8
_SERVICE_NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")


def short_hash(text: str, length: int = _HASH_LENGTH) -> str:
    """Return the first hexadecimal digits of a text's SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def _derived(stack: str, suffix: str) -> str:
    """Return ``<stack>-<suffix>``, made fit for Services, StatefulSets and labels if it is not.

    Names of stacks may hold dots, begin with a digit and be long; such a name is cut and given a
    hash, so that two stacks never share a derived name.
    """
    room = _NAME_LIMIT - 1 - len(suffix)
    if len(stack) <= room and _SERVICE_NAME.fullmatch(stack):
        return f"{stack}-{suffix}"
    plain = re.sub(r"[^a-z0-9]+", "-", stack)
    start = plain if plain[:1].isalpha() else f"s-{plain}"
    cut = start[: room - _HASH_LENGTH - 1].rstrip("-")
    return f"{cut}-{short_hash(stack)}-{suffix}"


def prometheus_name(stack: str) -> str:
    """Return the name of Prometheus' StatefulSet and of the Service that people use."""
    return _derived(stack, "prometheus")


def prometheus_pods_name(stack: str) -> str:
    """Return the name of the headless Service that gives each pod a name of its own."""
    return _derived(stack, "prometheus-pods")


def prometheus_config_name(stack: str) -> str:
    """Return the name of the ConfigMap with prometheus.yml."""
    return _derived(stack, "prometheus-config")


def raw_scrapes_name(stack: str) -> str:
    """Return the name of the Secret with scrape jobs in Prometheus' own words."""
    return _derived(stack, "prometheus-scrapes")


def rules_name(stack: str, slot: int) -> str:
    """Return the name of a rule ConfigMap."""
    return _derived(stack, f"rules-{slot}")


def test_name(stack: str, run: str) -> str:
    """Return the name of the Job and the ConfigMap for a run of unit tests."""
    return _derived(stack, f"test-{short_hash(run, 10)}")


def config_check_name(stack: str, configuration: str) -> str:
    """Return the name of the Job that checks a configuration."""
    return _derived(stack, f"check-{short_hash(configuration, 10)}")


def node_exporter_name(stack: str) -> str:
    """Return the name of the DaemonSet."""
    return _derived(stack, "node-exporter")


def alertmanager_name(stack: str) -> str:
    """Return the name of Alertmanager's StatefulSet and of the Service that people use."""
    return _derived(stack, "alertmanager")


def alertmanager_pods_name(stack: str) -> str:
    """Return the name of the headless Service by which each pod is found."""
    return _derived(stack, "alertmanager-pods")


def alertmanager_config_name(stack: str) -> str:
    """Return the name of the Secret with Alertmanager's configuration and credentials."""
    return _derived(stack, "alertmanager-config")


def alertmanager_url(stack: str, namespace: str) -> str:
    """Return the address of Alertmanager inside the cluster."""
    return f"http://{alertmanager_name(stack)}.{namespace}.svc:{ALERTMANAGER_PORT}"


def grafana_name(stack: str) -> str:
    """Return the name of Grafana's StatefulSet and of the Service that people use."""
    return _derived(stack, "grafana")


def grafana_pods_name(stack: str) -> str:
    """Return the name of the headless Service of Grafana's pods."""
    return _derived(stack, "grafana-pods")


def grafana_sources_name(stack: str) -> str:
    """Return the name of the Secret with Grafana's data sources."""
    return _derived(stack, "grafana-sources")


def dashboards_name(stack: str) -> str:
    """Return the name of the ConfigMap that says which directory of dashboards is which folder."""
    return _derived(stack, "dashboards")


def dashboard_slot_name(stack: str, slot: int) -> str:
    """Return the name of a ConfigMap of dashboards."""
    return _derived(stack, f"dashboards-{slot}")


def slot_of_dashboards(stack: str, name: str) -> int | None:
    """Return the slot that a ConfigMap's name stands for, or None if it is none of dashboards."""
    found = (n for n in range(DASHBOARD_SLOTS) if dashboard_slot_name(stack, n) == name)
    return next(found, None)


def grafana_keys_name(stack: str) -> str:
    """Return the name of the Secret with what Firewatch makes up for Grafana, and then keeps."""
    return _derived(stack, "grafana-keys")


def grafana_url(stack: str, namespace: str) -> str:
    """Return the address of Grafana inside the cluster."""
    return f"http://{service_address(grafana_name(stack), namespace, GRAFANA_PORT)}"


def blackbox_name(stack: str) -> str:
    """Return the name of the blackbox exporter's Deployment and Service."""
    return _derived(stack, BLACKBOX_EXPORTER)


def blackbox_config_name(stack: str) -> str:
    """Return the name of the ConfigMap with blackbox.yml."""
    return _derived(stack, "blackbox-config")


def kube_state_metrics_name(stack: str) -> str:
    """Return the name of kube-state-metrics' Deployment and Service."""
    return _derived(stack, KUBE_STATE_METRICS)


def pushgateway_name(stack: str) -> str:
    """Return the name of Pushgateway's StatefulSet and Service."""
    return _derived(stack, PUSHGATEWAY)


def journeys_name(stack: str) -> str:
    """Return the name of the Deployment and Service of the runner of journeys, and of its ConfigMap."""
    return _derived(stack, JOURNEYS)


def closed_name(stack: str) -> str:
    """Return the name of the NetworkPolicy that lets nothing in."""
    return _derived(stack, "closed")


def rum_name(stack: str) -> str:
    """Return the name of the Deployment and Service for browsers, and of their ConfigMap."""
    return _derived(stack, RUM)


def postgres_exporter(name: str) -> str:
    """Return the application of the exporter of a database."""
    return f"postgres-exporter-{name}"


def postgres_exporter_name(stack: str, name: str) -> str:
    """Return the name of the Deployment and Service of the exporter of a database."""
    # No exporter of the user's own can have a slash in its name.
    return _derived(stack, f"{name}-{short_hash(f'{stack}/postgres/{name}')}")


def custom_exporter(name: str) -> str:
    """Return the application of a user's exporter, which no program of ours is called."""
    return f"exporter-{name}"


def custom_exporter_name(stack: str, name: str) -> str:
    """Return the name of the Deployment and Service of a user's exporter.

    Both parts are the user's, so only a hash of the two keeps (a, b-c) and (a-b, c) apart.
    """
    return _derived(stack, f"{name}-{short_hash(f'{stack}/{name}')}")


def service_address(name: str, namespace: str, port: int) -> str:
    """Return ``host:port`` of a Service, the same from every namespace of the cluster."""
    return f"{name}.{namespace}.svc:{port}"


def prometheus_host(stack: str, namespace: str) -> str:
    """Return the DNS name of Prometheus inside the cluster."""
    return f"{prometheus_name(stack)}.{namespace}.svc"


def stack_title(namespace: str, stack: str, seen_from: str) -> str:
    """Return what a stack is called in the status of a resource of the namespace ``seen_from``."""
    return stack if namespace == seen_from else f"{namespace}/{stack}"


def stack_label(stack: str) -> str:
    """Return the label value that stands for a stack: its name, cut with a hash when too long."""
    if len(stack) <= _LABEL_LIMIT:
        return stack
    return f"{stack[: _LABEL_LIMIT - _HASH_LENGTH - 1].rstrip('.-')}-{short_hash(stack)}"


def labels(stack: str, application: str, component: str) -> dict[str, str]:
    """Return the labels of an object of a stack."""
    return {
        NAME_LABEL: application,
        INSTANCE_LABEL: stack_label(stack),
        COMPONENT_LABEL: component,
        PART_OF_LABEL: "firewatch",
        STACK_LABEL: stack_label(stack),
        **MANAGED_BY,
    }


def shared_labels(application: str) -> dict[str, str]:
    """Return the labels of an object that all stacks of a namespace share."""
    return {NAME_LABEL: application, PART_OF_LABEL: "firewatch", **MANAGED_BY}


def selector(stack: str, application: str) -> dict[str, str]:
    """Return the labels by which the pods of an application of a stack are found."""
    return {NAME_LABEL: application, STACK_LABEL: stack_label(stack)}


def component_selector(stack: str, *components: str) -> dict[str, tuple[str, ...]]:
    """Return the labels by which the objects of some components of a stack are found."""
    return {COMPONENT_LABEL: components, STACK_LABEL: (stack_label(stack),)}


def slot_of_name(stack: str, name: str) -> int | None:
    """Return the slot that a ConfigMap's name stands for, or None if it is no rule ConfigMap."""
    _, dash, number = name.rpartition("-")
    if dash and number.isdecimal() and int(number) < SLOTS:
        slot = int(number)
        return slot if name == rules_name(stack, slot) else None
    return None


def policy_slot(namespace: str, policy: str) -> int:
    """Return the slot in which a policy starts: spread evenly, and the same for ever."""
    return int(short_hash(f"{namespace}/{policy}"), 16) % SLOTS


def policy_file(namespace: str, policy: str) -> str:
    """Return the name of a policy's rule file: readable, unique, and the same for ever.

    A rule's state lives in (file, group name): another file name would send its firing alerts back
    to pending.
    """
    return f"{policy[:40].rstrip('.-')}-{short_hash(f'{namespace}/{policy}', 10)}.yml"


def marker_file(slot: int, owner: str = "") -> str:
    """Return the name of the file by which the server shows what it has loaded of a slot.

    ``owner`` tells stacks apart that may have the same server, and so one directory of files.
    """
    return f"firewatch-marker-{f'{owner}-' if owner else ''}{slot}.yml"


def slot_of_marker(path: str, owner: str = "") -> int | None:
    """Return the slot of a marker file, given its path on the server; None if it is none of the owner's."""
    number = path.removesuffix(".yml").rpartition("-")[2]
    if number.isdecimal() and path.endswith(f"/{marker_file(int(number), owner)}"):
        return int(number)
    return None
