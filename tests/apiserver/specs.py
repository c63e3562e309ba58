"""Specs of our kinds, and what the API server makes of them."""

from typing import Any

import pytest

from firewatch.api.kinds import CUSTOM_KINDS
from firewatch.api.resource import API_VERSION, Object
from firewatch.cluster.client import KubernetesCluster, Verb, Write
from firewatch.cluster.errors import InvalidError
from firewatch.cluster.kinds import OWN_KINDS

CUSTOM = {custom.kind: custom for custom in CUSTOM_KINDS}
KEY: Object = {"name": "login", "key": "token"}
STACK: Object = {"metrics": {}}
RESPONSE: Object = {
    "trigger": {"alert": "A"},
    "target": {"name": "api"},
    "actions": [{"scaleUp": {"by": 1, "maxReplicas": 6}}],
}
_KINDS = {kind.kind: kind for kind in OWN_KINDS}


def stack(**metrics: Any) -> Object:
    """Return the spec of a MonitoringStack."""
    return {"metrics": metrics}


def build(kind: str, spec: Any, namespace: str, name: str = "x") -> Object:
    """Return a resource of one of our kinds."""
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}


async def create(cluster: KubernetesCluster, kind: str, spec: Any) -> Object:
    """Have a resource created as a dry run; return what would be stored."""
    body = build(kind, spec, "default")
    return await cluster.write(Write(Verb.CREATE, _KINDS[kind], "default", "x", body, dry_run=True))


async def check_defaults(cluster: KubernetesCluster, kind: str, spec: Object) -> None:
    """Check that the API server fills in what the model does."""
    model = CUSTOM[kind].spec
    stored = (await create(cluster, kind, spec))["spec"]
    assert model.model_validate(stored) == model.model_validate(spec)
    written = model.model_validate(spec).model_dump(mode="json", by_alias=True)
    assert _bare(stored) == _bare(written)


def _bare(value: Any) -> Any:
    """Return the value without what says nothing, and quantities as texts."""
    if isinstance(value, list):
        return [_bare(entry) for entry in value]
    if isinstance(value, dict):
        kept = {name: _bare(v) for name, v in value.items()}
        return {
            name: str(v) if name in ("cpu", "size") else v
            for name, v in kept.items()
            if v not in (None, [], {})
        }
    return value


async def check_refused(cluster: KubernetesCluster, kind: str, spec: Any, named: str) -> None:
    """Check that a spec is refused, with these words."""
    with pytest.raises(InvalidError) as caught:
        await create(cluster, kind, spec)
    assert named in str(caught.value)
