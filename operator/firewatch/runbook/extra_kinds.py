"""Which further kinds the installed operator may act on, as its Deployment says."""

from firewatch.cluster.client import Cluster
from firewatch.cluster.errors import ForbiddenError, NotFoundError
from firewatch.cluster.kinds import DEPLOYMENT
from firewatch.settings import EXTRA_KINDS, Settings, parse_extra_kinds, parse_settings

OPERATOR = {
    "app.kubernetes.io/part-of": "firewatch",
    "app.kubernetes.io/component": "operator",
}
"""Labels of the operator's Deployment and pods."""


async def gather_settings(cluster: Cluster, namespace: str = "") -> Settings:
    """Return settings with the kinds that the operator knows; none further if it may not be seen."""
    try:
        found = await cluster.list(DEPLOYMENT, namespace, OPERATOR)
    except (ForbiddenError, NotFoundError):
        found = []
    values = [
        variable.get("value", "")
        for deployment in found
        for container in deployment["spec"]["template"]["spec"]["containers"]
        for variable in container.get("env", ())
        if variable["name"] == EXTRA_KINDS
    ]
    return extra_settings(values[0] if values else "")


def extra_settings(text: str) -> Settings:
    """Return settings that know further kinds, and nothing else."""
    known = {EXTRA_KINDS: text} if _is_readable(text) else {}
    return parse_settings(known)


def _is_readable(text: str) -> bool:
    try:
        parse_extra_kinds(text)
    except ValueError:  # the operator does not start with it either
        return False
    return True
