"""postgres_exporter: for each database a Service and a Deployment, and the runbook's metric names."""

from collections.abc import Sequence
from urllib.parse import quote, urlencode

from firewatch.api.postgres import PostgresExporter
from firewatch.api.resource import Object
from firewatch.build import names, versions
from firewatch.build.deployments import build_deployment
from firewatch.build.mounted_files import FileRef, either, file_source
from firewatch.build.objects import Part, Stack, http_probe, service
from firewatch.build.pods import Program
from firewatch.build.surroundings import Surroundings
from firewatch.build.yaml_text import dump_yaml

_REQUESTS = {"cpu": "10m", "memory": "32Mi"}
_DIRECTORY = "/etc/postgres-exporter"
_USERNAME, _PASSWORD, _CA = "username", "password", "ca.crt"
_GROUP = "firewatch:postgres-statements"
_STATEMENT = 'job="postgres"'
_NAMES = {
    "pg_stat_statements_calls": f"pg_stat_statements_calls_total{{{_STATEMENT}}}",
    "pg_stat_statements_total_time": f"pg_stat_statements_seconds_total{{{_STATEMENT}}} * 1000",
    "pg_stat_statements_mean_time": (
        f"pg_stat_statements_seconds_total{{{_STATEMENT}}} * 1000"
        f" / (pg_stat_statements_calls_total{{{_STATEMENT}}} > 0)"
    ),
}
"""The runbook's names: columns of PostgreSQL 12 and older, which counts in milliseconds."""


def build_postgres_exporter(
    stack: Stack, wanted: PostgresExporter, surroundings: Surroundings
) -> list[Object]:
    """Return everything that the exporter of a database is made of.

    It reads its credentials when it starts, so that their versions stand in the pod template.
    """
    part = Part(
        stack,
        names.postgres_exporter_name(stack.name, wanted.name),
        names.postgres_exporter(wanted.name),
        names.EXPORTERS,
    )
    versions_read = sorted({surroundings.versions.get(ref, "") for ref in _files(wanted).values()})
    return [
        service(part, port=names.POSTGRES_EXPORTER_PORT),
        build_deployment(
            part,
            wanted,
            _program(wanted),
            annotations={names.CONFIG_ANNOTATION: names.short_hash(",".join(versions_read), 16)},
        ),
    ]


def instance(wanted: PostgresExporter) -> str:
    """Return the label ``instance`` of a database's series."""
    return f"{_address(wanted)}/{wanted.database}"


def render_postgres_rules(exporters: Sequence[PostgresExporter]) -> str | None:
    """Return the rule file with the runbook's names of statements; None if there are none."""
    if not any(each.statements for each in exporters):
        return None
    rules = [{"record": name, "expr": expression} for name, expression in _NAMES.items()]
    return dump_yaml({"groups": [{"name": _GROUP, "rules": rules}]})


def _address(wanted: PostgresExporter) -> str:
    host = f"[{wanted.host}]" if ":" in wanted.host else wanted.host
    return f"{host}:{wanted.port}"


def _files(wanted: PostgresExporter) -> dict[str, FileRef]:
    """Return the files that the exporter reads, by name."""
    files: dict[str, FileRef] = {_USERNAME: wanted.username, _PASSWORD: wanted.password}
    return files | ({_CA: either(wanted.ca)} if wanted.ca else {})


def _program(wanted: PostgresExporter) -> Program:
    port = names.POSTGRES_EXPORTER_PORT
    sources = [file_source(ref, name) for name, ref in _files(wanted).items()]
    return Program(
        name="postgres-exporter",
        image=versions.POSTGRES_EXPORTER,
        args=[
            f"--web.listen-address=:{port}",
            *(["--collector.stat_statements"] if wanted.statements else []),
        ],
        requests=_REQUESTS,
        env=[
            {"name": "DATA_SOURCE_URI", "value": _uri(wanted)},
            {"name": "DATA_SOURCE_USER_FILE", "value": f"{_DIRECTORY}/{_USERNAME}"},
            {"name": "DATA_SOURCE_PASS_FILE", "value": f"{_DIRECTORY}/{_PASSWORD}"},
        ],
        container={
            "ports": [{"name": "http", "containerPort": port, "protocol": "TCP"}],
            "readinessProbe": http_probe("/", period=5, failures=3),
            "livenessProbe": http_probe("/", period=10, failures=6),
            "volumeMounts": [{"name": "files", "mountPath": _DIRECTORY, "readOnly": True}],
        },
        pod={"volumes": [{"name": "files", "projected": {"sources": sources}}]},
    )


def _uri(wanted: PostgresExporter) -> str:
    """Return the connection without credentials, as the exporter puts them in front of it."""
    parameters = {"sslmode": wanted.ssl_mode.value}
    if wanted.ca:
        parameters["sslrootcert"] = f"{_DIRECTORY}/{_CA}"
    query = urlencode(parameters, safe="/")
    return f"{_address(wanted)}/{quote(wanted.database, safe='')}?{query}"
