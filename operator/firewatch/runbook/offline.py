"""What notification settings refer to, without a cluster: each Secret holds a placeholder.

Nothing of them is taken from Secrets in the files, so that no credential is printed with them.
"""

import asyncio
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from firewatch.api.alerting import ConfigMapKey
from firewatch.api.resource import Model, Object, SecretKeySelector
from firewatch.build.alertmanager import build_config_secret
from firewatch.build.alertmanager_config import Notifications, render_notifications
from firewatch.build.objects import Stack
from firewatch.build.policy_routes import RoutingPolicy
from firewatch.build.references import find_parts
from firewatch.cluster.kinds import CONFIG_MAP, SECRET, Kind
from firewatch.reconcile.sources import gather_sources
from firewatch.runbook.without_cluster import WithoutCluster

_Settings = tuple[str, Model]
"""A namespace, and settings of a resource in it."""


def build_notifications(
    stack: Stack, policies: Sequence[RoutingPolicy]
) -> tuple[Object, Notifications] | None:
    """Return Alertmanager's Secret with placeholders for credentials; None if there is none."""
    alerting = stack.spec.alerting
    if alerting is None:
        return None
    settings: list[_Settings] = [(stack.namespace, alerting)]
    settings += [(policy.namespace, policy.spec) for policy in policies]
    sources = asyncio.run(gather_sources(_Placeholders(settings), settings))
    found = render_notifications(stack, alerting, sources, policies)
    return build_config_secret(stack, found), found


@dataclass(frozen=True)
class _Placeholders(WithoutCluster):
    """A cluster in which every Secret and ConfigMap is that the settings name."""

    settings: Sequence[_Settings]

    async def get(self, kind: Kind, namespace: str, name: str) -> Object:
        """Return the object with every key that is asked of it."""
        part = SecretKeySelector if kind is SECRET else ConfigMapKey
        keys = {
            each.key for space, each in self._parts(part) if (space, each.name) == (namespace, name)
        }
        metadata = {"name": name, "namespace": namespace, "uid": "", "resourceVersion": ""}
        data = {key: _placeholder(kind, f"{namespace}/{name}/{key}") for key in sorted(keys)}
        return {"kind": kind.kind, "metadata": metadata, "data": data}

    def _parts(self, part: Any) -> list[tuple[str, Any]]:
        return [(space, each) for space, spec in self.settings for each in find_parts(spec, part)]


def _placeholder(kind: Kind, what: str) -> str:
    if kind is CONFIG_MAP:
        return f"{{{{/* {what} */}}}}"
    # A URL is a good value wherever a credential is wanted.
    return b64encode(f"https://placeholder.invalid/{what}".encode()).decode()
