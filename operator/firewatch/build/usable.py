"""What of a stack's scrape jobs, remote writes and databases is made use of, and what is not.

Prometheus takes all of its configuration or nothing, so that what it would stumble over is left out;
and so are credentials that a program would write into its log.
"""

from collections.abc import Iterator

from firewatch.api.http_client import HttpClient
from firewatch.api.journeys import Journey, unknown_names
from firewatch.api.metrics import Metrics
from firewatch.api.postgres import PostgresExporter
from firewatch.api.real_users import RealUserMonitoring
from firewatch.api.remote_write import RemoteWrite
from firewatch.api.resource import SecretKeySelector
from firewatch.api.scraping import ScrapeJob
from firewatch.api.visualization import DataSource, Visualization
from firewatch.build.http_client import tls_files
from firewatch.build.mounted_files import FileRef, find_files
from firewatch.build.objects import Stack
from firewatch.build.raw_scrapes import raw_scrapes_source
from firewatch.build.scrape_jobs import is_foreign
from firewatch.build.surroundings import Surroundings
from firewatch.build.web import certificates, web_tls

Fault = tuple[str, str]
"""Reason and message."""
_MOST_FAULTS = 5


def usable_jobs(stack: Stack, metrics: Metrics, surroundings: Surroundings) -> list[ScrapeJob]:
    """Return the scrape jobs that go into the configuration."""
    return [job for job in metrics.scrape_jobs if _job_fault(stack, job, surroundings) is None]


def usable_remotes(metrics: Metrics, surroundings: Surroundings) -> list[RemoteWrite]:
    """Return the remote writes that go into the configuration."""
    return [each for each in metrics.remote_write if _tls_fault(each, surroundings) is None]


def usable_databases(stack: Stack, surroundings: Surroundings) -> list[PostgresExporter]:
    """Return the databases that get an exporter."""
    databases = stack.spec.exporters.postgres
    return [each for each in databases if _find_blanks(each, surroundings) is None]


def usable_data_sources(wanted: Visualization, surroundings: Surroundings) -> list[DataSource]:
    """Return the user's data sources that Grafana is given."""
    return [each for each in wanted.data_sources if not _missing_credentials(each, surroundings)]


def usable_journeys(stack: Stack, surroundings: Surroundings) -> list[Journey]:
    """Return the journeys that are taken."""
    synthetic = stack.spec.synthetic
    if not surroundings.image_of(synthetic.journey_runner):
        return []
    return [each for each in synthetic.journeys if not any(unknown_names(each))]


def usable_real_users(stack: Stack, surroundings: Surroundings) -> RealUserMonitoring | None:
    """Return how browsers are listened to, if they are."""
    wanted = stack.spec.real_user_monitoring
    return wanted if wanted and surroundings.image_of(wanted) else None


def find_unusable(stack: Stack, surroundings: Surroundings) -> Iterator[Fault]:
    """Yield what is left out, and why."""
    yield from _database_faults(stack, surroundings)
    yield from _data_source_faults(stack, surroundings)
    yield from _journey_faults(stack, surroundings)
    if stack.spec.real_user_monitoring and not usable_real_users(stack, surroundings):
        remedy = "set realUserMonitoring.image to the operator's image"
        yield "ImageUnknown", f"realUserMonitoring: left out: its image is not known; {remedy}"
    metrics = stack.spec.metrics
    if metrics is None:
        return
    yield from _web_faults(metrics, surroundings)
    for job in metrics.scrape_jobs:
        if fault := _job_fault(stack, job, surroundings):
            reason, message = fault
            yield reason, f"scrapeJobs: job {job.name} is left out: {message}"
    yield from _raw_faults(metrics, surroundings)
    for remote in metrics.remote_write:
        if missing := _tls_fault(remote, surroundings):
            yield "SecretMissing", f"remoteWrite: {remote.name} is left out: {missing}"


def _database_faults(stack: Stack, surroundings: Surroundings) -> Iterator[Fault]:
    for database in stack.spec.exporters.postgres:
        if ref := _find_blanks(database, surroundings):
            why = "with blanks in it postgres_exporter does not connect, and logs it"
            message = f"{database.name} is left out: {describe(ref)}: {why}; choose one without"
            yield "CredentialsRefused", f"exporters.postgres: {message}"


def _find_blanks(database: PostgresExporter, surroundings: Surroundings) -> FileRef | None:
    credentials = (database.username, database.password)
    return next((ref for ref in credentials if ref in surroundings.with_blanks), None)


def _data_source_faults(stack: Stack, surroundings: Surroundings) -> Iterator[Fault]:
    wanted = stack.spec.visualization
    for source in wanted.data_sources if wanted else ():
        if missing := _missing_credentials(source, surroundings):
            message = f"{source.name} is left out: {missing[0]} is missing; create it"
            yield "SecretMissing", f"visualization.dataSources: {message}"


def _journey_faults(stack: Stack, surroundings: Surroundings) -> Iterator[Fault]:
    synthetic = stack.spec.synthetic
    if synthetic.journeys and not surroundings.image_of(synthetic.journey_runner):
        remedy = "set synthetic.journeyRunner.image to the operator's image"
        yield (
            "ImageUnknown",
            f"synthetic.journeys: none is taken: their image is not known; {remedy}",
        )
    for journey in synthetic.journeys:
        for step, name in unknown_names(journey):
            why = f"step {step} names ${{{name}}}, which no variable and no earlier step's extract gives"
            yield "JourneyLeftOut", f"synthetic.journeys: {journey.name} is left out: {why}"
            break


def _missing_credentials(source: DataSource, surroundings: Surroundings) -> list[str]:
    refs = set(find_files(source))
    return sorted(describe(ref) for ref in refs if ref in surroundings.missing)


def _web_faults(metrics: Metrics, surroundings: Surroundings) -> Iterator[Fault]:
    """Yield why Prometheus cannot serve HTTPS. It never serves HTTP instead."""
    tls = web_tls(metrics)
    if tls is None:
        return
    for field, ref in (*certificates(tls), ("keySecret", tls.key_secret)):
        where = f"metrics.web.tlsConfig.{field}: {describe(ref)}"
        if ref in surroundings.missing:
            effect = (
                "nothing can check the certificate" if field == "ca" else "Prometheus serves nobody"
            )
            yield "SecretMissing", f"{where} is missing: {effect}; create it"
        elif ref in surroundings.no_certificates:
            remedy = "put one there, from BEGIN CERTIFICATE to END CERTIFICATE"
            yield "InvalidCertificate", f"{where} holds no certificate in PEM form; {remedy}"


def _raw_faults(metrics: Metrics, surroundings: Surroundings) -> Iterator[Fault]:
    source = raw_scrapes_source(metrics)
    if source in surroundings.missing:
        yield "SecretMissing", f"additionalScrapeConfigs: {describe(source)} is missing; create it"
    elif source and surroundings.raw_scrapes:
        for fault in surroundings.raw_scrapes.faults[:_MOST_FAULTS]:
            message = f"additionalScrapeConfigs: {describe(source)}: {fault}; it is left out"
            yield "InvalidScrapeConfigs", message


def _job_fault(stack: Stack, job: ScrapeJob, surroundings: Surroundings) -> Fault | None:
    granted = surroundings.grants_cluster_scope(stack.namespace)
    if is_foreign(job, stack.namespace) and not granted:
        remedy = f"add {stack.namespace} to clusterStacks.namespaces of the chart"
        return "ClusterScopeNotGranted", f"its namespaces are not the stack's own; {remedy}"
    missing = _tls_fault(job, surroundings)
    return ("SecretMissing", missing) if missing else None


def _tls_fault(client: HttpClient, surroundings: Surroundings) -> str | None:
    missing = sorted(describe(ref) for ref in tls_files(client) if ref in surroundings.missing)
    return f"{missing[0]} is missing; create it" if missing else None


def describe(ref: FileRef) -> str:
    """Return a key of a Secret or ConfigMap in words."""
    kind = "Secret" if isinstance(ref, SecretKeySelector) else "ConfigMap"
    return f"key {ref.key} of {kind} {ref.name}"
