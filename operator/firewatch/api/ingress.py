"""The field ``ingress`` of what people use: under which name it is reached from outside of the cluster."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from firewatch.api.resource import Model, Name, Rule, rules
from firewatch.api.workload import MetaName

_OPEN = (
    "whoever reaches it can read and change what it shows, since it asks for no login: put a login in"
    " front of it, and say so with allowUnauthenticated: true"
)
_GATEWAY_ALONE = Rule(
    "!has(self.gateway) || !(has(self.className) || has(self.tlsSecretName))",
    "gateway: className and tlsSecretName are for an Ingress; a Gateway has its certificates itself",
)


class Gateway(Model):
    """A listener of a Gateway (Gateway API)."""

    name: Name
    """Name of the Gateway."""
    namespace: Name | None = None
    """Its namespace, which must let routes of this one in; this one when left out."""
    section_name: Name | None = None
    """Name of the listener; all that take the host when left out."""


class Ingress(Model, json_schema_extra=rules(_GATEWAY_ALONE)):
    """A name under which something is reached from outside: an Ingress, or an HTTPRoute with ``gateway``."""

    host: str = Field(
        pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
        max_length=253,
    )
    """Name of the host, as ``grafana.example.org``."""
    class_name: Name | None = None
    """IngressClass; the cluster's default when left out."""
    tls_secret_name: Name | None = None
    """Secret with the certificate and key that the ingress controller serves, which may be made by
    cert-manager by an annotation; HTTP when left out.
    """
    annotations: dict[MetaName, Annotated[str, Field(max_length=4096)]] = Field(
        default={}, max_length=32
    )
    """Annotations of the Ingress or HTTPRoute, as an ingress controller reads them."""
    gateway: Gateway | None = None
    """Makes an HTTPRoute to this Gateway instead of an Ingress."""

    @property
    def url(self) -> str:
        """Return the address that people use; of a Gateway's listeners nothing is known but their habit."""
        scheme = "https" if self.tls_secret_name or self.gateway else "http"
        return f"{scheme}://{self.host}/"


class OpenIngress(
    Ingress,
    json_schema_extra=rules(
        _GATEWAY_ALONE, Rule("has(self.allowUnauthenticated) && self.allowUnauthenticated", _OPEN)
    ),
):
    """The same for a program that asks for no login."""

    allow_unauthenticated: bool = False
    """Must be ``true``: whoever reaches the host can read and change what it shows. Put a login in front
    of it, by an annotation of the ingress controller or a proxy.
    """

    @model_validator(mode="after")
    def _is_meant(self) -> Self:
        # As the CEL rule above, whoever has read the resource: nothing is exposed by mistake.
        if not self.allow_unauthenticated:
            raise ValueError(_OPEN)
        return self
