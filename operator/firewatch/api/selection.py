"""Which AlertPolicies a MonitoringStack runs, and how a policy names its stack."""

from typing import Annotated

from pydantic import Field

from firewatch.api.resource import Model, Name, Rule, rules
from firewatch.api.workload import LabelValue, MetaName

_Namespace = Annotated[
    str, Field(pattern=r"^(\*|[a-z0-9]([-a-z0-9]*[a-z0-9])?)$", min_length=1, max_length=63)
]
"""The name of a namespace, or ``*``."""


class StackRef(Model):
    """A reference to a MonitoringStack."""

    name: Name
    """Name of the MonitoringStack."""
    namespace: str | None = Field(
        default=None, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63
    )
    """Its namespace, if it is another one than this resource's. That stack must take policies of
    this namespace (its ``policies.namespaces``).
    """


class PolicySelector(Model):
    """Labels by which policies are chosen."""

    match_labels: dict[MetaName, LabelValue] = Field(min_length=1, max_length=16)
    """Labels that a policy must have, all of them."""


class PolicySelection(Model):
    """Which AlertPolicies of other namespaces the stack takes."""

    namespaces: list[_Namespace] = Field(
        min_length=1,
        max_length=256,
        json_schema_extra={
            "x-kubernetes-list-type": "set",
            **rules(
                Rule(
                    "!self.exists(n, n == '*') || size(self) == 1",
                    'namespaces: "*" is every namespace and stands alone',
                )
            ),
        },
    )
    """Namespaces whose AlertPolicies this stack runs besides those of its own, or ``["*"]`` for
    every namespace, if they name it in ``stackRef``. In the rules of such a policy every selector is given the matcher
    ``namespace="<the policy's namespace>"``, and every alert and series the label ``namespace`` of
    that value, so that a policy sees and speaks of its own namespace only; a rule for which
    Prometheus' own parser does not confirm that is left out and named in the policy's status. This
    is worth as much as the label ``namespace`` of the scraped series: a scrape job that keeps the
    label which the scraped application itself gives (``honorLabels``), or that sets none, lets that
    application write series of any namespace. Series without the label, such as those of nodes, are
    not seen at all.
    """
    selector: PolicySelector | None = None
    """Which policies of those namespaces; all of them when left out. Policies of the stack's own
    namespace are always taken, and stay as written.
    """
