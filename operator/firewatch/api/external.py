"""The block ``external`` of a MonitoringStack: servers that others run, in place of its own."""

from typing import Self

from pydantic import Field, model_validator

from firewatch.api.alert_source import ExternalServer, ServerTls
from firewatch.api.http_client import HttpUrl
from firewatch.api.resource import Interval, Model, Rule, SecretKeySelector, rules
from firewatch.api.visualization import DataSourceType, DataSourceUid, InlineDashboards
from firewatch.api.workload import OURS, OWN_PREFIXES, LabelValue, MetaName


class ExternalPrometheus(ExternalServer):
    """A Prometheus that others run, and that is to evaluate the rules of AlertPolicies."""

    rule_labels: dict[MetaName, LabelValue] = Field(
        default={}, max_length=16, json_schema_extra=OURS
    )
    """Labels of the ConfigMaps with rules, by which a sidecar of that Prometheus finds them, for example
    ``prometheus_rule: "1"``. Without a sidecar it mounts ``<stack>-rules-0`` to ``<stack>-rules-31``.
    Each key is a file for its ``rule_files``.
    """
    scrape_interval: Interval = "1m"
    """How often it scrapes, by which the windows of rules and the time until people are told are judged;
    Prometheus' own default when left out.
    """
    evaluation_interval: Interval = "1m"
    """How often it evaluates rules; Prometheus' own default when left out."""

    @model_validator(mode="after")
    def _labels_are_theirs(self) -> Self:
        for name in self.rule_labels:
            if name.startswith(OWN_PREFIXES):
                raise ValueError(f"ruleLabels: {name} belongs to Firewatch; remove it")
        return self


class ExternalGrafana(
    Model,
    json_schema_extra=rules(
        Rule(
            "!has(self.tlsConfig) || self.url.startsWith('https://')",
            "tlsConfig needs a url that begins with https://",
        ),
    ),
):
    """A Grafana that others run, and that is given dashboards by its HTTP API.

    They are those that ``visualization`` would have: the ones below, those in ConfigMaps with the label
    ``grafana_dashboard: "1"``, and those of the packs that run.
    """

    url: HttpUrl
    """Its address, as ``http://grafana.monitoring.svc:3000``; what the API's paths are added to."""
    token: SecretKeySelector
    """Token of a service account with the role Editor, in the organization that is meant."""
    tls_config: ServerTls | None = None
    """How its certificate is checked; by the image's authorities when left out."""
    data_source_uids: dict[DataSourceType, DataSourceUid] = Field(default={}, max_length=32)
    """Uids of its data sources by type, as ``prometheus: metrics``, with which the questions of an
    exported dashboard are answered.
    """
    dashboards: InlineDashboards = Field(default=[])
    """Dashboards. A folder that is not there is made."""


class External(Model):
    """Servers that others run, which Firewatch uses and does not look after."""

    prometheus: ExternalPrometheus | None = None
    """A Prometheus in place of ``metrics``."""
    grafana: ExternalGrafana | None = None
    """A Grafana in place of ``visualization``."""
