"""A PostgreSQL server with real pods, as a user of the exporter has one: TLS, and a role that reads."""

import re
from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path

from e2e.cluster.certificates import KeyPair
from e2e.kubectl import Kubectl, Object
from e2e.station import Station

NAME = "database"
DATABASE = "shop"
ROLE = "firewatch_exporter"
ROLE_SQL = Path(__file__).parents[1] / "docs" / "databases.md"
_START = """
set -e
if [ ! -e "$PGDATA/initialized" ]; then
  rm -rf "$PGDATA"
  initdb --pgdata="$PGDATA" --username=postgres --pwfile=/etc/database/password \
    --auth=scram-sha-256 --encoding=UTF8 --locale=C
  echo 'hostssl all all all scram-sha-256' >> "$PGDATA/pg_hba.conf"
  touch "$PGDATA/initialized"
fi
exec postgres -c listen_addresses='*' -c unix_socket_directories=/tmp \
  -c shared_preload_libraries=pg_stat_statements \
  -c ssl=on -c ssl_cert_file=/etc/database/tls.crt -c ssl_key_file=/etc/database/tls.key
"""


@dataclass(frozen=True)
class Database:
    """A server in a namespace; what it is asked is asked by its superuser."""

    kubectl: Kubectl
    namespace: str

    def run(self, sql: str, *, database: str = DATABASE) -> str:
        """Run statements in the server's pod; return what they return, unaligned."""
        pod = ("exec", "-i", f"deploy/{NAME}", "-n", self.namespace, "--")
        environment = ("env", "PGHOST=/tmp", "PGUSER=postgres", f"PGDATABASE={database}")
        script = 'PGPASSWORD="$(cat /etc/database/password)" exec psql -qAtX -v ON_ERROR_STOP=1'
        return self.kubectl.run(*pod, *environment, "sh", "-c", script, stdin=sql)

    def grant(self, password: str) -> None:
        """Make the exporter's role, by the very words of the documentation."""
        self.run(f"CREATE DATABASE {DATABASE}", database="postgres")
        self.run(documented_sql().replace("'PASSWORD'", f"'{password}'"))


def documented_sql() -> str:
    """Return the statements that the documentation tells to run."""
    found = re.search(r"```sql\n(.*?)```", ROLE_SQL.read_text(encoding="utf-8"), re.DOTALL)
    assert found
    return found[1]


def server(station: Station, image: str, pair: KeyPair, password: str) -> list[Object]:
    """Return the objects of a server that listens with TLS only, its data gone with its pod."""
    labels = {"app": NAME}
    files = {"tls.crt": pair.certificate.read_bytes(), "tls.key": pair.key.read_bytes()}
    data = {**files, "password": password.encode()}
    container: Object = {
        "name": "postgres",
        "image": image,
        "command": ["sh", "-c", _START],
        "env": [{"name": "PGDATA", "value": "/data/files"}],
        "ports": [{"containerPort": 5432}],
        "readinessProbe": {"tcpSocket": {"port": 5432}, "periodSeconds": 1},
        "volumeMounts": [
            {"name": "data", "mountPath": "/data"},
            {"name": "tmp", "mountPath": "/tmp"},
            {"name": "secret", "mountPath": "/etc/database", "readOnly": True},
        ],
    }
    pod: Object = {
        "securityContext": {"runAsUser": 65534, "runAsGroup": 65534, "fsGroup": 65534},
        "terminationGracePeriodSeconds": 1,
        "containers": [container],
        "volumes": [
            {"name": "data", "emptyDir": {}},
            {"name": "tmp", "emptyDir": {}},
            # A key that others could read is refused by PostgreSQL.
            {"name": "secret", "secret": {"secretName": NAME, "defaultMode": 0o640}},
        ],
    }
    metadata = {"name": NAME, "namespace": station.namespace}
    return [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": metadata,
            "data": {key: b64encode(value).decode() for key, value in data.items()},
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": metadata,
            "spec": {
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": pod},
            },
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata,
            "spec": {"selector": labels, "ports": [{"port": 5432}]},
        },
    ]
