"""The block ``synthetic`` of a MonitoringStack: endpoints that are probed from inside the cluster."""

from typing import Annotated

from pydantic import Field

from firewatch.api.resource import Interval, LabelName, Model, Rule, rules
from firewatch.api.scraping import LabelValue

ProbeTarget = Annotated[
    str,
    Field(
        pattern=r"^([a-zA-Z]+://[^\s/?#@]+|[^\s/?#@]*[^\s/?#@:])([/?#][^\s]*)?$", max_length=1024
    ),
]
"""What is probed: a URL, ``host:port``, a host, or a DNS server. A user name in it is refused: it would
show in every alert.
"""

_OWN_LABELS = ("job", "probe", "instance")


class Probe(Model):
    """Targets that are probed in the same way."""

    name: str = Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)
    """Name of the check; it becomes the label ``probe``."""
    module: str = Field(default="http_2xx", pattern=r"^[a-zA-Z0-9_]+$", max_length=63)
    """Module of ``exporters.blackbox``: one of its own ``modules``, or http_2xx, http_post_2xx,
    tcp_connect or icmp, which are always there.
    """
    targets: list[ProbeTarget] = Field(min_length=1, max_length=256)
    """What is probed, each of them as the label ``instance``: URLs for prober http, ``host:port`` for
    tcp, hosts for icmp, DNS servers for dns. They show in every alert, so one with ``user:password@``
    is refused; the module's ``basicAuth`` is the place for that.
    """
    interval: Interval | None = None
    """How often; the stack's ``scrapeInterval`` when left out."""
    labels: dict[LabelName, LabelValue] = Field(
        default={},
        max_length=32,
        json_schema_extra=rules(
            Rule(
                f"!self.exists(k, k in {list(_OWN_LABELS)})",
                f"the labels {', '.join(_OWN_LABELS)} are set by Firewatch",
            )
        ),
    )
    """Labels added to every series of these targets."""


class Synthetic(Model):
    """Checks from outside of the application, by the blackbox exporter."""

    probes: list[Probe] = Field(
        default=[],
        max_length=64,
        json_schema_extra={
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
        },
    )
    """Endpoints to probe; ``probe_success`` of the job ``blackbox`` says how it went."""
