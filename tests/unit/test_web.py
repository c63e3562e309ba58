"""HTTPS of a stack's Prometheus: what is built, and what is said when it cannot work."""

from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from firewatch.api.resource import Object, SecretKeySelector
from firewatch.api.stack import JobStatus, MonitoringStackSpec
from firewatch.build.left_out import find_left_out
from firewatch.build.mounted_files import FileRef, find_files
from firewatch.build.objects import Stack
from firewatch.build.scrape import render_prometheus_config
from firewatch.build.stack import build_stack
from firewatch.build.surroundings import Surroundings
from firewatch.build.web import prometheus_url
from firewatch.reconcile.components import endpoints
from firewatch.reconcile.web import explain_self_scrape

CERT = {"secret": {"name": "web", "key": "tls.crt"}}
KEY = {"name": "web", "key": "tls.key"}
CA = {"configMap": {"name": "company", "key": "ca.crt"}}
AROUND = Surroundings(receiver="10.0.0.1:9095")
PLAIN = Stack("shop", "main", "u", MonitoringStackSpec.model_validate({"metrics": {}}))
FILES = "/etc/prometheus/files"


def stack(**more: Any) -> Stack:
    web = {"tlsConfig": {"cert": CERT, "keySecret": KEY, **more}}
    return Stack("shop", "main", "u", MonitoringStackSpec.model_validate({"metrics": {"web": web}}))


def around(**more: Any) -> Surroundings:
    return Surroundings(receiver="10.0.0.1:9095", **more)


def refs(found: Stack) -> dict[str, FileRef]:
    return {ref.key: ref for ref in find_files(found.spec.metrics)}


def own_job(found: Stack, surroundings: Surroundings = AROUND) -> Mapping[str, Any]:
    assert found.spec.metrics
    config = yaml.safe_load(render_prometheus_config(found, found.spec.metrics, surroundings))
    job: Mapping[str, Any] = config["scrape_configs"][0]
    assert job["static_configs"] == [{"targets": ["localhost:9090"]}]
    return job


def by_kind(found: Stack) -> dict[str, list[Object]]:
    objects: dict[str, list[Object]] = {}
    for item in build_stack(found, AROUND):
        objects.setdefault(item["kind"], []).append(item)
    return objects


def test_prometheus_trusts_its_own_certificate_or_the_authority_for_its_name() -> None:
    host = "main-prometheus.shop.svc"
    checks = {"ca_file": f"{FILES}/secret/web/tls.crt", "server_name": host}
    assert own_job(stack())["tls_config"] == checks
    assert own_job(stack())["scheme"] == "https"
    found = own_job(stack(ca=CA, serverName="metrics.example"))["tls_config"]
    assert found == {
        "ca_file": f"{FILES}/configMap/company/ca.crt",
        "server_name": "metrics.example",
    }
    assert "scheme" not in own_job(PLAIN)
    assert "tls_config" not in own_job(PLAIN)


@pytest.mark.parametrize("field", ["missing", "no_certificates"])
def test_a_file_that_stops_the_whole_configuration_stays_out_of_it(field: str) -> None:
    found = stack()
    faulty = around(**{field: frozenset([refs(found)["tls.crt"]])})
    assert own_job(found, faulty)["tls_config"] == {"server_name": "main-prometheus.shop.svc"}


def test_everything_that_names_the_port_says_https() -> None:
    objects = by_kind(stack())
    (template,) = (item["spec"]["template"]["spec"] for item in objects["StatefulSet"])
    (container,) = template["containers"]
    assert container["args"][-1] == "--web.config.file=/etc/prometheus/config/web.yml"
    assert [port["name"] for port in container["ports"]] == ["https"]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"]["scheme"] == "HTTPS"
        assert container[probe]["httpGet"]["port"] == "https"
    for service in objects["Service"]:
        (port,) = service["spec"]["ports"]
        assert (port["name"], port["targetPort"], port["appProtocol"]) == ("https",) * 3
    url = "https://main-prometheus.shop.svc:9090"
    assert prometheus_url(stack()) == url
    assert endpoints(objects["Service"]) == {"prometheus": url}
    assert prometheus_url(PLAIN) == "http://main-prometheus.shop.svc:9090"
    (config,) = objects["ConfigMap"]
    assert yaml.safe_load(config["data"]["web.yml"]) == {
        "tls_server_config": {
            "cert_file": f"{FILES}/secret/web/tls.crt",
            "key_file": f"{FILES}/secret/web/tls.key",
            "min_version": "TLS12",
        }
    }


def test_a_server_without_its_files_serves_nobody_rather_than_http() -> None:
    found = stack(ca=CA)
    faulty = around(missing=frozenset(refs(found).values()))
    plain = {item["kind"] + item["metadata"]["name"]: item for item in build_stack(found, AROUND)}
    for item in build_stack(found, faulty):
        if item["kind"] != "ConfigMap":
            assert item == plain[item["kind"] + item["metadata"]["name"]]
    left_out = find_left_out(found, faulty)
    assert {each.reason for each in left_out} == {"SecretMissing"}
    unserved = "is missing: Prometheus serves nobody; create it"
    unchecked = "is missing: nothing can check the certificate; create it"
    assert [each.message.removeprefix("metrics.web.tlsConfig.") for each in left_out] == [
        f"cert: key tls.crt of Secret web {unserved}",
        f"ca: key ca.crt of ConfigMap company {unchecked}",
        f"keySecret: key tls.key of Secret web {unserved}",
    ]


def test_what_is_no_certificate_is_named_with_its_field() -> None:
    ref = SecretKeySelector(name="web", key="tls.crt")
    (found,) = find_left_out(stack(), around(no_certificates=frozenset([ref])))
    assert found.reason == "InvalidCertificate"
    assert found.message.startswith(
        "metrics.web.tlsConfig.cert: key tls.crt of Secret web holds no"
    )


REFUSED = (
    'https://localhost:9090/metrics: Get "https://localhost:9090/metrics": tls: failed to verify'
    " certificate: x509: certificate is valid for other.example, not main-prometheus.shop.svc"
)


@pytest.mark.parametrize(
    ("found", "up", "message", "is_said"),
    [
        (stack(), 0, REFUSED, True),
        (stack(), 1, REFUSED, False),
        (stack(), 0, "connection refused", False),
        (PLAIN, 0, REFUSED, False),
    ],
)
def test_a_name_that_does_not_fit_is_said_in_the_words_of_prometheus(
    found: Stack, up: int, message: str, is_said: bool
) -> None:
    row = JobStatus(name="prometheus", targets=1, up=up, message=message)
    other = JobStatus(name="shop", targets=1, up=0, message=REFUSED)
    findings = explain_self_scrape(found, [other, row])
    assert bool(findings) is is_said
    assert explain_self_scrape(found, [other]) == []
    for each in findings:
        assert each.reason == "CertificateRefused"
        assert (
            "certificate is valid for other.example, not main-prometheus.shop.svc" in each.message
        )
        assert "issue one that is valid for main-prometheus.shop.svc" in each.message
