"""A Prometheus that serves HTTPS: everything that talks to it goes on, also with a new certificate."""

import json
import ssl
from base64 import b64encode
from pathlib import Path

from e2e.cluster.certificates import KeyPair, self_signed
from e2e.installation import Testbed, namespace
from e2e.kubectl import Object, condition, wait_for
from e2e.station import STACK, Station

NAMESPACE = "e2e-web"
HOST = f"{STACK}-prometheus.{NAMESPACE}.svc"
TLS = {
    "cert": {"secret": {"name": "web", "key": "tls.crt"}},
    "keySecret": {"name": "web", "key": "tls.key"},
}
SHOWN = f"import ssl; print(ssl.get_server_certificate(('{HOST}', 9090)))"


def secret(pair: KeyPair) -> Object:
    files = {"tls.crt": pair.certificate, "tls.key": pair.key}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/tls",
        "metadata": {"name": "web", "namespace": NAMESPACE},
        "data": {key: b64encode(path.read_bytes()).decode() for key, path in files.items()},
    }


def shown(station: Station) -> bytes:
    """Return the certificate that the Service shows to a pod."""
    pod = ("exec", "deploy/signal", "-n", NAMESPACE, "--")
    text = station.kubectl.run(*pod, "/opt/venv/bin/python3", "-c", SHOWN)
    return ssl.PEM_cert_to_DER_cert(text.strip())


def lives(station: Station) -> tuple[str, int]:
    """Return which pod runs Prometheus, and how often it has been started again."""
    pod = station.kubectl.get("pod", f"{STACK}-prometheus-0", NAMESPACE)
    assert pod is not None
    (container,) = pod["status"]["containerStatuses"]
    return pod["metadata"]["uid"], container["restartCount"]


def source(station: Station) -> Object:
    found = station.kubectl.get("aresp", "scale", NAMESPACE)
    return condition(found, "AlertSourceHealthy")


def test_https_with_a_certificate_of_ones_own_and_with_its_successor(
    testbed: Testbed, tmp_path: Path
) -> None:
    station = Station(testbed, NAMESPACE, https=True)
    first, second = (self_signed(tmp_path, name, names=[HOST]) for name in ("first", "second"))
    station.kubectl.apply(namespace(NAMESPACE), secret(first))
    station.set_up(web={"tlsConfig": TLS})
    station.kubectl.apply(station.response())
    station.wait_ready("aresp", "scale")
    found = station.kubectl.get("mstack", STACK, NAMESPACE)
    assert found is not None
    assert found["status"]["prometheusUrl"] == f"https://{HOST}:9090"
    assert wait_for("the self-scrape", lambda: station.query('up{job="prometheus"} == 1'))
    assert source(station)["status"] == "True"
    before = lives(station)

    station.kubectl.apply(secret(second))
    # The operator looks at Secrets once a minute, and when the stack changes.
    metadata = {"annotations": {"example.org/looked-at": "now"}}
    station.kubectl.patch("mstack", STACK, NAMESPACE, {"metadata": metadata})
    wanted = ssl.PEM_cert_to_DER_cert(second.certificate.read_text())
    wait_for("the new certificate", lambda: shown(station) == wanted, seconds=120)

    def is_well() -> bool:
        live = station.kubectl.get("mstack", STACK, NAMESPACE)
        assert condition(live, "Ready").get("status") == "True", json.dumps(live)
        assert source(station)["status"] == "True", source(station)
        return bool(station.query('up{job="prometheus"} == 1'))

    assert wait_for("stack and response to be well", is_well)
    assert lives(station) == before
