"""postgres_exporter with a real server: its login, the runbook's metrics, and what hinders it."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.cluster.certificates import Authority
from e2e.cluster.progress import ConsoleProgress
from e2e.database import DATABASE, NAME, ROLE, Database, server
from e2e.installation import Testbed, namespace
from e2e.kubectl import Object, wait_for
from e2e.station import STACK, Station

NAMESPACE = "e2e-postgres"
LOGIN = "exporter-login"
PASSWORD = 'exporter-s3cret/?#%@:&,"=+'
WRONG = "exporter-wr0ng-w0rd"
HOST = f"{NAME}.{NAMESPACE}.svc"
INSTANCE = f"{HOST}:5432/{DATABASE}"
RUNBOOK = Path(__file__).parents[1] / "docs" / "reference" / "runbook.md"


def families() -> list[str]:
    """Return the families of the runbook's section on database metrics."""
    text = RUNBOOK.read_text(encoding="utf-8")
    section = text[text.index("#### Database Metrics") : text.index("### 3. Business Metrics")]
    return sorted(set(re.findall(r"^(pg_\w+)", section, re.MULTILINE)))


def login(password: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": LOGIN, "namespace": NAMESPACE},
        "stringData": {"username": ROLE, "password": f"{password}\n"},
    }


def stack(station: Station) -> Object:
    wanted = station.stack()
    wanted["spec"]["metrics"]["scrapeJobs"] = []
    wanted["spec"]["packs"] = {}
    wanted["spec"]["exporters"] = {
        "postgres": [
            {
                "name": "shop",
                "image": station.testbed.image("postgres-exporter", ConsoleProgress()),
                "host": HOST,
                "database": DATABASE,
                "username": {"name": LOGIN, "key": "username"},
                "password": {"name": LOGIN, "key": "password"},
                "ca": {"configMap": {"name": "database-ca", "key": "ca.crt"}},
                # It tries a login twice, a second apart.
                "interval": "5s",
            }
        ]
    }
    return wanted


@pytest.fixture(scope="module")
def station(testbed: Testbed) -> Station:
    return Station(testbed, NAMESPACE)


@pytest.fixture(scope="module")
def database(station: Station, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """Return a server whose certificate is for its Service, and a stack that watches it."""
    authority = Authority(tmp_path_factory.mktemp("authority"), "ca")
    pair = authority.issue("database", "database", names=[HOST])
    certificates: Object = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "database-ca", "namespace": NAMESPACE},
        "data": {"ca.crt": authority.pair.certificate.read_text()},
    }
    image = station.testbed.postgres(ConsoleProgress())
    station.kubectl.apply(
        namespace(NAMESPACE),
        certificates,
        *server(station, image, pair, "of the superuser"),
        login(WRONG),
        stack(station),
    )
    station.kubectl.run(
        *("rollout", "status", f"deployment/{NAME}", "-n", NAMESPACE, "--timeout=120s")
    )
    found = Database(station.kubectl, NAMESPACE)
    found.grant(PASSWORD)
    yield found
    station.kubectl.delete("mstack", STACK, NAMESPACE)


def said(station: Station) -> str:
    """Return what the status says of the job."""
    found = station.kubectl.get("mstack", STACK, NAMESPACE) or {}
    rows = found.get("status", {}).get("jobs", [])
    return "".join(row.get("message") or "-" for row in rows if row["name"] == "postgres")


def exporter(station: Station) -> Object:
    (found,) = station.kubectl.list(
        "deployment", NAMESPACE, "app.kubernetes.io/component=exporters"
    )
    return found


def series(station: Station, expression: str) -> list[Object]:
    """Wait for an expression to have a result; return it."""
    found = wait_for(expression, lambda: station.query(expression), seconds=60)
    assert found
    return found


@pytest.mark.usefixtures("database")
def test_a_wrong_password_is_said_and_the_right_one_is_taken_without_a_hand(
    station: Station,
) -> None:
    station.wait_ready("mstack", STACK, seconds=120)
    closed = f"{INSTANCE}: the exporter cannot log in (pg_up is 0)"
    wait_for("the database to be named", lambda: said(station).startswith(closed), seconds=120)
    station.kubectl.apply(login(PASSWORD))
    wait_for(
        "the exporter to log in",
        lambda: station.query(f'pg_up{{instance="{INSTANCE}"}} == 1'),
        seconds=180,
    )
    wait_for("the status to say no more", lambda: said(station) == "-", seconds=120)
    station.wait_ready("mstack", STACK)


def test_the_runbook_names_nine_families_of_databases() -> None:
    assert len(families()) == 9


@pytest.mark.parametrize("family", families())
def test_each_family_of_the_runbook_arrives(
    station: Station, database: Database, family: str
) -> None:
    database.run("CREATE TABLE IF NOT EXISTS orders (id int)")
    series(station, f'{family}{{job="postgres",instance="{INSTANCE}",datname="{DATABASE}"}}')


def test_slow_statements_are_seen_in_milliseconds(station: Station, database: Database) -> None:
    calls = 3
    for _ in range(calls):
        database.run("SELECT pg_sleep(0.3)")
    (slow,) = series(station, 'pg_stat_statements_mean_time{user="postgres"} > 300 < 1000')
    statement = f'queryid="{slow["metric"]["queryid"]}"'
    series(station, f"pg_stat_statements_calls{{{statement}}} >= {calls}")
    (total,) = series(station, f"pg_stat_statements_total_time{{{statement}}} >= {calls * 300}")
    assert float(total["value"][1]) < calls * 1000
    assert total["metric"]["job"] == "postgres"


def test_rows_that_are_written_are_counted_by_table(station: Station, database: Database) -> None:
    database.run(
        "CREATE TABLE parcels (id int); INSERT INTO parcels SELECT generate_series(1, 10);"
        " UPDATE parcels SET id = id + 100 WHERE id <= 4; DELETE FROM parcels WHERE id > 102"
    )
    for column, count in (("ins", 10), ("upd", 4), ("del", 2)):
        series(station, f'pg_stat_user_tables_n_tup_{column}{{relname="parcels"}} == {count}')


def test_the_documented_role_reads_no_table(database: Database) -> None:
    database.run("CREATE TABLE IF NOT EXISTS orders (id int)")
    asked = f"SELECT has_table_privilege('{ROLE}', 'orders', 'SELECT')"
    assert database.run(asked).strip() == "f"


@pytest.mark.usefixtures("database")
def test_the_password_is_nowhere_but_in_its_secret(station: Station) -> None:
    kinds = "configmaps,services,deployments,statefulsets,pods,events,mstack"
    objects = station.kubectl.run("get", kinds, "-n", NAMESPACE, "-o", "json")
    name = exporter(station)["metadata"]["name"]
    log = station.kubectl.run("logs", f"deployment/{name}", "-n", NAMESPACE)
    assert json.loads(objects)["items"]
    for text in (objects, log):
        for password in (PASSWORD, WRONG):
            assert password[:15] not in text


@pytest.mark.usefixtures("database")
def test_a_server_that_is_gone_is_seen_and_the_exporter_stays(station: Station) -> None:
    uid = exporter(station)["metadata"]["uid"]
    station.kubectl.run("scale", f"deployment/{NAME}", "-n", NAMESPACE, "--replicas=0")
    wait_for(
        "the server to be missed",
        lambda: station.query(f'pg_up{{instance="{INSTANCE}"}} == 0'),
        seconds=90,
    )
    assert station.query('up{job="postgres"} == 1')
    series(station, f'ALERTS{{alertname="DatabaseDown",instance="{INSTANCE}"}}')
    assert exporter(station)["metadata"]["uid"] == uid
    assert exporter(station)["status"].get("readyReplicas") == 1
