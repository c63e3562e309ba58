"""A minimal client of the Kubernetes API for setting up a cluster.

The product's own client is not used here: what checks a thing should not be built from it.
"""

import base64
import http.client
import json
import ssl
import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from e2e.cluster.certificates import KeyPair
from e2e.cluster.files import write_atomically

_PLURALS = {
    "ClusterRole": "clusterroles",
    "ClusterRoleBinding": "clusterrolebindings",
    "ConfigMap": "configmaps",
    "Deployment": "deployments",
    "Namespace": "namespaces",
    "PersistentVolume": "persistentvolumes",
    "Service": "services",
    "ServiceAccount": "serviceaccounts",
    "StorageClass": "storageclasses",
}


class ApiError(Exception):
    """The API server refused a request."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


@dataclass(frozen=True)
class Access:
    """Where an API server is and how to be somebody there."""

    server: str
    authority: Path
    client: KeyPair | None = None
    token: str | None = None


def write_kubeconfig(path: Path, access: Access, context: str) -> None:
    """Write a kubeconfig that needs no other file."""

    def embed(file: Path) -> str:
        return base64.b64encode(file.read_bytes()).decode()

    user: dict[str, str] = {"token": access.token} if access.token else {}
    if access.client:
        user["client-certificate-data"] = embed(access.client.certificate)
        user["client-key-data"] = embed(access.client.key)
    cluster = {"server": access.server, "certificate-authority-data": embed(access.authority)}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": context,
        "clusters": [{"name": context, "cluster": cluster}],
        "users": [{"name": context, "user": user}],
        "contexts": [{"name": context, "context": {"cluster": context, "user": context}}],
    }
    write_atomically(path, yaml.safe_dump(content, sort_keys=False), mode=0o600)


class Api:
    """Sends requests to one API server, a connection each."""

    def __init__(self, access: Access) -> None:
        address = urllib.parse.urlsplit(access.server)
        self._host = address.hostname or ""
        self._port = address.port or 443
        self._headers = {"Accept": "application/json", "User-Agent": "firewatch-testbed"}
        if access.token:
            self._headers["Authorization"] = f"Bearer {access.token}"
        self._tls = ssl.create_default_context(cafile=str(access.authority))
        if access.client:
            self._tls.load_cert_chain(access.client.certificate, access.client.key)

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        content: str = "application/json",
        timeout: float = 10,
    ) -> Any:
        """Send one request; return the decoded answer, or its text when it is not JSON."""
        connection = http.client.HTTPSConnection(
            self._host,
            self._port,
            timeout=timeout,
            context=self._tls,
        )
        try:
            data = None if body is None else json.dumps(body)
            connection.request(method, path, data, self._headers | {"Content-Type": content})
            response = connection.getresponse()
            text = response.read().decode()
        finally:
            connection.close()
        if response.status >= 400:
            raise ApiError(response.status, text[:500])
        return json.loads(text) if text.startswith(("{", "[")) else text

    def is_ready(self) -> bool:
        """Tell whether the API server answers and calls itself ready."""
        try:
            return bool(self.request("GET", "/readyz", timeout=3) == "ok")
        except (OSError, ApiError, http.client.HTTPException):
            return False

    def apply(self, manifest: Mapping[str, Any]) -> Any:
        """Create or update an object by server-side apply."""
        path = f"{object_path(manifest)}?fieldManager=firewatch-testbed&force=true"
        return self.request("PATCH", path, manifest, content="application/apply-patch+yaml")

    def token(self, namespace: str, account: str, audiences: Sequence[str] = ()) -> str:
        """Return a token of a ServiceAccount, valid for a day."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
        spec = {"audiences": list(audiences), "expirationSeconds": 86400}
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        return str(self.request("POST", path, body)["status"]["token"])


def object_path(manifest: Mapping[str, Any]) -> str:
    """Return the URL path of an object."""
    version, kind, meta = manifest["apiVersion"], manifest["kind"], manifest["metadata"]
    prefix = f"/apis/{version}" if "/" in version else f"/api/{version}"
    if namespace := meta.get("namespace"):
        prefix += f"/namespaces/{namespace}"
    return f"{prefix}/{_PLURALS[kind]}/{meta['name']}"
