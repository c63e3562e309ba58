"""The block ``networkPolicies`` of a MonitoringStack: who reaches its pods."""

from typing import Annotated

from pydantic import Field

from firewatch.api.resource import Model, Rule, rules
from firewatch.api.scraping import LabelSelector

_Cidr = Annotated[
    str, Field(pattern=r"^([0-9]{1,3}(\.[0-9]{1,3}){3}|[0-9a-fA-F:.]*:[0-9a-fA-F:.]*)/[0-9]{1,3}$")
]


class IpBlock(Model):
    """Addresses."""

    cidr: Annotated[_Cidr, Field(max_length=64)]
    """Network, as ``10.0.0.0/8``."""
    except_: list[Annotated[_Cidr, Field(max_length=64)]] = Field(
        default=[], alias="except", max_length=16
    )
    """Networks inside of it that are not meant."""


class NetworkPeer(
    Model,
    json_schema_extra=rules(
        Rule(
            "has(self.ipBlock) != (has(self.podSelector) || has(self.namespaceSelector))",
            "set ipBlock, or podSelector and namespaceSelector or one of the two",
        ),
    ),
):
    """Somebody who may reach what people use, as a peer of a NetworkPolicy."""

    pod_selector: LabelSelector | None = None
    """Pods, in the namespaces of ``namespaceSelector`` or, without it, in this one."""
    namespace_selector: LabelSelector | None = None
    """Namespaces; all their pods, or those of ``podSelector``."""
    ip_block: IpBlock | None = None
    """Addresses outside of the cluster."""


class NetworkPolicies(Model):
    """NetworkPolicies by which nothing reaches the stack's pods but what is needed.

    Let in are: Prometheus to all that it scrapes, the operator's namespace and the stack's own programs to
    the servers that they ask, pods of this namespace to Pushgateway, everybody to the address for
    browsers, and ``allowFrom`` to Prometheus, Alertmanager, Grafana and Pushgateway. ``kubectl
    port-forward`` gets through in any case, the API server's proxy does not. Pushgateway and the address for
    browsers reach nothing themselves; the other programs reach what they watch and tell, which is not
    known beforehand. The network plugin must enforce NetworkPolicies; for the node exporter, which is in
    the node's network, none does.
    """

    allow_from: list[NetworkPeer] = Field(default=[], max_length=16)
    """Who else may reach the pages that people use, as an ingress controller or another Prometheus."""
