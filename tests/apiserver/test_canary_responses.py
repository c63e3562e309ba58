"""The word in every Secret that an AutoResponse tells people by, while the operator really uses them.

Messages are tried with it and fail: what is said of that names Secrets and keys, and never what stands
there. What merely stands in the resources is tried in test_canary.py, and what Prometheus and
Alertmanager are asked by in test_canary_sources.py.
"""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from e2e.cluster.controlplane import ControlPlane
from e2e.cluster.progress import ConsoleProgress
from e2e.kubectl import wait_for
from firewatch.api.resource import Object
from firewatch.api.responses import OPT_IN_LABEL
from tests.apiserver.deployed import install_crds, operator_process
from tests.apiserver.everything import ours
from tests.apiserver.kubectl import kubectl_of
from tests.apiserver.test_canary import CANARY, VALUES, Site, ref

NAMESPACE = "canary"
ALERT = "A"
NOWHERE = "https://hook.invalid/take"
KEYS = ("slack", "pager", "url", "bearer", "password", "smtp", "prometheus", "alertmanager", "ca")
WEBHOOK_TOKEN = f"{CANARY}-webhook"
"""One line, whatever the others are: without it nothing would be sent."""
NOTIFY: tuple[tuple[Object, ...], ...] = (
    (
        {"slack": {"apiUrl": ref("slack")}},
        {"pagerduty": {"routingKey": ref("pager"), "url": NOWHERE}},
        {"webhook": {"urlSecret": ref("url"), "bearerToken": ref("bearer")}},
    ),
    (
        {"webhook": {"url": NOWHERE, "basicAuth": {"username": "u", "password": ref("password")}}},
        {"webhook": {"url": NOWHERE, "tls": {"ca": ref("ca")}}},
        {
            "email": {
                "to": ["team@mail.invalid"],
                "smtp": {
                    "smarthost": "mail.invalid:25",
                    "from": "fire@mail.invalid",
                    "authUsername": "u",
                    "authPassword": ref("smtp"),
                },
            }
        },
    ),
)
"""What tells people, three ways for each AutoResponse."""


def response(number: int) -> Object:
    """Return an AutoResponse that raises the target and tells people."""
    scale = {"scaleUp": {"by": 1, "maxReplicas": 9}}
    basic = {"username": ref("alertmanager"), "password": ref("alertmanager")}
    spec: Object = {
        "trigger": {"alert": ALERT},
        "target": {"name": "api"},
        "actions": [scale, *({"notify": each} for each in NOTIFY[number])],
        "source": {
            "prometheus": {
                "url": "http://127.0.0.1:9",
                "authorization": {"credentials": ref("prometheus")},
            },
            "alertmanager": {"url": "http://127.0.0.1:9", "basicAuth": basic},
            "webhookToken": {"name": "webhook", "key": "token"},
        },
        "recovery": {"onSilence": "release"},
        "mode": "enforce",
    }
    return ours("AutoResponse", f"tell-{number}", NAMESPACE, spec)


def target() -> Object:
    labels = {"app": "api"}
    template = {
        "metadata": {"labels": labels},
        "spec": {"containers": [{"name": "c", "image": "example.org/none:1"}]},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "api", "namespace": NAMESPACE, "labels": {OPT_IN_LABEL: "enabled"}},
        "spec": {"replicas": 2, "selector": {"matchLabels": labels}, "template": template},
    }


def secret(name: str, **texts: str) -> Object:
    metadata = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": texts}


@pytest.fixture(params=VALUES)
def site(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Site]:
    value = VALUES[request.param]
    with ControlPlane.prepare(tmp_path, ConsoleProgress()) as control_plane:
        kubectl = kubectl_of(control_plane.kubeconfig, tmp_path)
        install_crds(kubectl)
        kubectl("create", "namespace", NAMESPACE)
        secrets = [
            secret("own", **dict.fromkeys(KEYS, value)),
            secret("webhook", token=WEBHOOK_TOKEN),
        ]
        # kubectl apply would write the values into an annotation.
        kubectl("create", "-f", "-", text=yaml.safe_dump_all(secrets))
        with operator_process(control_plane.kubeconfig, tmp_path) as operator:
            found = [target(), *map(response, range(len(NOTIFY)))]
            kubectl("apply", "-f", "-", text=yaml.safe_dump_all(found))
            yield Site(kubectl, operator, value)


def are_known(site: Site) -> bool:
    """Tell whether all AutoResponses have been looked at: whose token it is is asked only now and then."""
    text = site.kubectl("-n", NAMESPACE, "get", "aresp", "-o", "json")
    found = [each["status"]["conditions"] for each in json.loads(text)["items"]]
    return len(found) == len(NOTIFY)


def is_taken(site: Site) -> bool:
    """Send by the webhook that the alert fires; tell whether that was taken."""
    alert = {"status": "firing", "labels": {"alertname": ALERT}}
    request = urllib.request.Request(
        f"http://127.0.0.1:{site.operator.receiver}/webhook/{NAMESPACE}",
        json.dumps({"version": "4", "status": "firing", "alerts": [alert]}).encode(),
        {"Authorization": f"Bearer {WEBHOOK_TOKEN}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=15) as answer:
            return bool(answer.status == 200)
    except urllib.error.HTTPError as error:
        with error:
            return False


def rows(site: Site) -> list[Object]:
    """Return how each action that tells people stands, once each has been tried or cannot be."""
    text = site.kubectl("-n", NAMESPACE, "get", "aresp", "-o", "json")
    found = [
        row for each in json.loads(text)["items"] for row in each["status"]["notices"]["deliveries"]
    ]
    assert len(found) == sum(map(len, NOTIFY)), found
    assert all(row["state"] in ("Failing", "NoAddress") for row in found), found
    return found


def is_raised(site: Site) -> bool:
    """Tell whether the target has more replicas."""
    asked = ("get", "deploy", "api", "-o", "jsonpath={.spec.replicas}")
    return site.kubectl("-n", NAMESPACE, *asked) == "3"


def test_what_an_autoresponse_uses_of_secrets_is_said_nowhere(site: Site) -> None:
    wait_for("both to be looked at", lambda: are_known(site), seconds=120)
    wait_for("the alert to be taken", lambda: is_taken(site), seconds=120, pause=1)
    # That nobody can be told holds up no action, and may be known before the alert is.
    wait_for("the target to be raised", lambda: is_raised(site))
    found = wait_for("every message to have failed", lambda: rows(site), seconds=120)
    states = {row["state"] for row in found}
    assert "Failing" in states if site.value == VALUES["usable"] else "NoAddress" in states
    assert site.leaks() == []
