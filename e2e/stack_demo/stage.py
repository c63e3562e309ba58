"""What the demo of a whole stack runs on: an application, a database, a browser, and the stack."""

import base64
import json
import secrets
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from e2e.audit import AuditLog
from e2e.browser import Browser, runbooks_script
from e2e.cluster.certificates import Authority
from e2e.cluster.interface import Progress
from e2e.database import NAME as SERVER
from e2e.database import ROLE, Database, server
from e2e.images import PROJECT
from e2e.installation import Testbed
from e2e.kubectl import Kubectl, Object, wait_for
from e2e.station import Station

FOLDER = PROJECT / "examples" / "demo-stack"
NAMESPACE, STACK, API = "freeagentics-stack", "platform", "api"
_IMAGE = "firewatch/example-app:0.1.0"
_EXPORTERS = {"blackbox": "blackbox-exporter", "kubeStateMetrics": "kube-state-metrics"}


@dataclass(frozen=True)
class Costs:
    """What it took to make the stack."""

    seconds: float
    """From its resource to its condition Ready."""
    reads: int
    """Requests of the operator to the API server that read."""
    writes: int
    """Those that wrote."""


@dataclass(frozen=True)
class Stage:
    """The demo's namespace."""

    testbed: Testbed
    progress: Progress

    @property
    def kubectl(self) -> Kubectl:
        """Return kubectl for this cluster."""
        return self.testbed.kubectl

    @property
    def station(self) -> Station:
        """Return the namespace as scenarios see it, whose stack has another name."""
        return Station(self.testbed, NAMESPACE, name=STACK)

    def set_up(self) -> None:
        """Make the application and the database, and the Secrets that the stack names."""
        for path in sorted(FOLDER.glob("[01]-*.yaml")):
            self.kubectl.apply(*map(self._here, yaml.safe_load_all(path.read_text())))
        self.kubectl.apply(*self._named(), *self._database())
        for name in (API, SERVER):
            self._wait_rolled_out(name)
        login = self.kubectl.get("secret", "database-login", NAMESPACE)
        assert login is not None
        Database(self.kubectl, NAMESPACE).grant(_value(login, "password"))

    def make_stack(self) -> Costs:
        """Apply the stack, and wait until it is ready."""
        (path,) = FOLDER.glob("2-*.yaml")
        wanted = self._here(yaml.safe_load(path.read_text()))
        audit, started = AuditLog(self.testbed.cluster), time.monotonic()
        self.kubectl.apply(wanted)
        self.station.wait_ready("mstack", STACK, seconds=180)
        seconds = time.monotonic() - started
        calls = audit.calls()
        writes = sum(call.is_write for call in calls)
        return Costs(seconds, len(calls) - writes, writes)

    def visit(self) -> None:
        """Have a browser load a page of the application's, click, and leave."""
        browser = Browser(self.kubectl, NAMESPACE)
        browser.start(self.testbed.chromium(self.progress))
        key = self.kubectl.get("secret", "rum", NAMESPACE)
        assert key is not None
        address = f"http://{STACK}-rum.{NAMESPACE}.svc:8080"
        browser.visit(address, runbooks_script(_value(key, "api-key")))

    def fail(self, ratio: float) -> None:
        """Have the application fail a share of its requests."""
        path = f"/api/v1/namespaces/{NAMESPACE}/services/{API}:8000/proxy/faults"
        body = json.dumps({"errorRatio": ratio})
        self.kubectl.run("create", "--raw", path, "-f", "-", stdin=body)

    def stack(self) -> Object:
        """Return the stack as it is."""
        found = self.kubectl.get("mstack", STACK, NAMESPACE)
        assert found is not None
        return found

    def pods(self) -> dict[str, str]:
        """Return the stack's pods by uid, with the program that each is of."""
        selector = f"monitoring.freeagentics.io/stack={STACK}"
        return {
            pod["metadata"]["uid"]: pod["metadata"]["labels"]["app.kubernetes.io/name"]
            for pod in self.kubectl.list("pods", NAMESPACE, selector)
            if "deletionTimestamp" not in pod["metadata"]
        }

    def change(self, patch: Object) -> set[str]:
        """Change the stack, wait until it is ready so, and return the programs that have new pods."""
        before = self.pods()
        self.kubectl.patch("mstack", STACK, NAMESPACE, {"spec": patch})

        def is_ready() -> bool:
            found = self.stack()
            generation = found["metadata"]["generation"]
            (ready,) = (c for c in found["status"]["conditions"] if c["type"] == "Ready")
            return bool(ready["status"] == "True" and ready["observedGeneration"] == generation)

        wait_for("the changed stack to be ready", is_ready, seconds=120)
        after = self.pods()
        return {after[uid] for uid in after.keys() - before.keys()}

    def _here(self, thing: Object) -> Object:
        """Return an object of the example with this cluster's images."""
        images = self.testbed.images
        here: Object = json.loads(json.dumps(thing).replace(_IMAGE, images.example_app))
        if here["kind"] == "MonitoringStack":
            spec = here["spec"]
            spec["metrics"]["image"] = images.prometheus
            spec["alerting"]["image"] = self.testbed.image("alertmanager", self.progress)
            spec["exporters"]["node"]["image"] = images.node_exporter
            for block, name in _EXPORTERS.items():
                spec["exporters"][block]["image"] = self.testbed.image(name, self.progress)
            for database in spec["exporters"]["postgres"]:
                database["image"] = self.testbed.image("postgres-exporter", self.progress)
        return here

    def _named(self) -> Iterator[Object]:
        """Yield the Secrets that the stack names."""
        yield _secret("database-login", username=ROLE, password=secrets.token_urlsafe())
        yield _secret("journey", password=secrets.token_urlsafe())
        yield _secret("rum", **{"api-key": secrets.token_urlsafe()})

    def _database(self) -> list[Object]:
        """Return a PostgreSQL server with a certificate, and that of its authority."""
        with tempfile.TemporaryDirectory() as folder:
            authority = Authority(Path(folder), "ca")
            host = f"{SERVER}.{NAMESPACE}.svc"
            pair = authority.issue("database", "database", names=[host])
            image = self.testbed.postgres(self.progress)
            objects = server(self.station, image, pair, secrets.token_urlsafe())
            text = authority.pair.certificate.read_text()
        metadata = {"name": "database-ca", "namespace": NAMESPACE}
        known = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
        return [{**known, "data": {"ca.crt": text}}, *objects]

    def _wait_rolled_out(self, name: str) -> None:
        rollout = ("rollout", "status", f"deployment/{name}", "-n", NAMESPACE)
        self.kubectl.run(*rollout, "--timeout=120s")


def _secret(name: str, **data: str) -> Object:
    metadata = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data}


def _value(secret: Object, key: str) -> str:
    return base64.b64decode(secret["data"][key]).decode()
