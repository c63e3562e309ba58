"""A word stands in every Secret that settings can name, and turns up in Secrets and nowhere else.

Once in values that servers take, and once in values that nothing can parse: parsers quote in their
messages what they were given.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.cluster.controlplane import ControlPlane
from e2e.cluster.progress import ConsoleProgress
from e2e.kubectl import wait_for
from firewatch.api.resource import Object
from tests.apiserver.deployed import OperatorProcess, install_crds, operator_process
from tests.apiserver.everything import NOBODY, objects, ours, resources, statuses
from tests.apiserver.examples import namespaces_of
from tests.apiserver.kubectl import Kubectl, kubectl_of

CANARY = "canary-5c1d0e"
VALUES = {
    "usable": f"https://hook.invalid/{CANARY}",
    "unusable": f'{{{{ {CANARY} | "\n- job_name: [{CANARY}\n-----BEGIN CERTIFICATE-----\n{CANARY}',
}
NAMESPACE = "canary"


def ref(key: str) -> Object:
    return {"name": "own", "key": key}


MORE = [
    ours(
        "MonitoringStack",
        "raw",
        NAMESPACE,
        {"metrics": {"additionalScrapeConfigs": ref("jobs")}, "alerting": NOBODY},
    ),
    ours(
        "AlertPolicy",
        "told",
        NAMESPACE,
        {
            "stackRef": {"name": "raw"},
            "groups": [{"name": "g", "rules": [{"alert": "A", "expr": "up == 0"}]}],
            "receivers": [{"name": "chat", "slack": [{"apiUrl": ref("url"), "channel": "#x"}]}],
            "routes": [{"matchers": ['a="b"'], "receiver": "chat"}],
        },
    ),
    ours(
        "AutoResponse",
        "own-prometheus",
        NAMESPACE,
        {
            "trigger": {"alert": "A"},
            "target": {"name": "api"},
            "actions": [{"scaleUp": {"by": 1, "maxReplicas": 2}}],
            "source": {
                "prometheus": {
                    "url": "https://127.0.0.1:1",
                    "authorization": {"credentials": ref("token")},
                    "tlsConfig": {"ca": {"secret": ref("ca.crt")}},
                },
                "webhookToken": ref("webhook"),
            },
        },
    ),
]


def secret_keys(settings: Any, field: str = "") -> Iterator[tuple[str, str]]:
    """Yield name and key of each Secret that settings name."""
    if isinstance(settings, list):
        for item in settings:
            yield from secret_keys(item, field)
    elif isinstance(settings, dict):
        if settings.keys() == {"name", "key"} and not field.startswith("configMap"):
            yield settings["name"], settings["key"]
        for name, value in settings.items():
            yield from secret_keys(value, name)


def secrets(found: list[Object], value: str) -> list[Object]:
    """Return the Secrets that resources name, with a value in each key."""
    keys: dict[tuple[str, str], dict[str, str]] = {}
    for each in found:
        namespace = each["metadata"].get("namespace", "default")
        for name, key in secret_keys(each["spec"]):
            keys.setdefault((namespace, name), {})[key] = value
    return [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "namespace": namespace},
            "stringData": data,
        }
        for (namespace, name), data in keys.items()
    ]


def spellings(word: str) -> set[str]:
    """Return a word as it stands in a text, and in base64 wherever it begins."""
    encoded = (b64encode(b"x" * lead + word.encode()).decode() for lead in range(3))
    # The ends of it also depend on what stands beside the word.
    return {word} | {text[4:-4] for text in encoded}


@dataclass(frozen=True)
class Site:
    """An API server with the operator beside it, and everything applied."""

    kubectl: Kubectl
    operator: OperatorProcess
    value: str

    def leaks(self) -> list[str]:
        """Return where the word stands, but for the data of Secrets."""
        found = [
            where for where, text in self._texts() if any(s in text for s in spellings(CANARY))
        ]
        return sorted(found)

    def _texts(self) -> Iterator[tuple[str, str]]:
        yield "the operator's log", self.operator.said()
        for each in objects(self.kubectl):
            if each["kind"] == "Secret":
                each.pop("data", None)
            name = f"{each['metadata'].get('namespace', '')}/{each['metadata']['name']}"
            yield f"{each['kind']} {name}", json.dumps(each)

    def holders(self) -> list[str]:
        """Return the operator's Secrets that hold the word: it has read the users'."""
        return [
            each["metadata"]["name"]
            for each in objects(self.kubectl)
            if each["kind"] == "Secret"
            and each["metadata"].get("labels", {}).get("app.kubernetes.io/managed-by")
            == "firewatch"
            and any(CANARY.encode() in b64decode(value) for value in each.get("data", {}).values())
        ]


@pytest.fixture(params=VALUES)
def site(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Site]:
    value = VALUES[request.param]
    with ControlPlane.prepare(tmp_path, ConsoleProgress()) as control_plane:
        kubectl = kubectl_of(control_plane.kubeconfig, tmp_path)
        install_crds(kubectl)
        found = [*resources(), *MORE]
        for name in {*namespaces_of(found)} - {"default"}:
            kubectl("create", "namespace", name)
        # kubectl apply would write the values into an annotation.
        kubectl("create", "-f", "-", text=yaml.safe_dump_all(secrets(found, value)))
        with operator_process(control_plane.kubeconfig, tmp_path) as operator:
            kubectl("apply", "-f", "-", text=yaml.safe_dump_all(found))
            yield Site(kubectl, operator, value)


def test_what_stands_in_a_secret_stays_in_secrets(site: Site) -> None:
    wait_for("a status of each resource", lambda: statuses(site.kubectl), seconds=120)
    if site.value == VALUES["usable"]:
        wait_for("the operator to have read the values", site.holders)
    else:
        wait_for(
            "the operator to have refused them", lambda: "BadUrl" in str(statuses(site.kubectl))
        )
    assert site.leaks() == []
    # And it would be found, if it were there.
    encoded = b64encode(f"x{CANARY}yz".encode()).decode()
    site.kubectl("create", "configmap", "leak", f"--from-literal=text={encoded}")
    assert site.leaks() == ["ConfigMap default/leak"]
