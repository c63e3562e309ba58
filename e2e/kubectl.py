"""kubectl against the cluster under test."""

import json
import os
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import yaml

from e2e.cluster.interface import Cluster

Value = TypeVar("Value")
Object = dict[str, Any]


class KubectlError(Exception):
    """kubectl failed; the message is what it said."""


class NeverError(AssertionError):
    """Something that was waited for did not come; the message says what was there instead."""


@dataclass(frozen=True)
class Kubectl:
    """Runs kubectl as one user of one cluster."""

    cluster: Cluster

    def run(self, *arguments: str, stdin: str | None = None, check: bool = True) -> str:
        """Run kubectl; return what it prints. ``KubectlError`` if it fails and ``check`` is on."""
        command = [str(self.cluster.tools / "kubectl"), *arguments]
        done = subprocess.run(
            command, input=stdin, capture_output=True, text=True, env=self.environment, check=False
        )
        if check and done.returncode != 0:
            raise KubectlError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    @property
    def environment(self) -> Mapping[str, str]:
        """Return the environment in which kubectl and helm find this cluster."""
        return {**os.environ, "KUBECONFIG": str(self.cluster.kubeconfig)}

    def apply(self, *objects: Object) -> None:
        """Apply objects, refusing fields that the API does not know."""
        self.run("apply", "--validate=strict", "-f", "-", stdin=yaml.safe_dump_all(objects))

    def get(self, kind: str, name: str, namespace: str = "") -> Object | None:
        """Return an object, or None if it is not there."""
        scope = ["-n", namespace] if namespace else []
        text = self.run("get", kind, name, *scope, "-o", "json", "--ignore-not-found")
        found: Object | None = json.loads(text) if text else None
        return found

    def list(self, kind: str, namespace: str = "", selector: str = "") -> list[Object]:
        """Return the objects of a kind."""
        scope = ["-n", namespace] if namespace else ["-A"]
        text = self.run("get", kind, *scope, "-l", selector, "-o", "json")
        items: list[Object] = json.loads(text)["items"]
        return items

    def patch(self, kind: str, name: str, namespace: str, patch: Object) -> None:
        """Merge a patch into an object."""
        self.run("patch", kind, name, "-n", namespace, "--type=merge", "-p", json.dumps(patch))

    def delete(self, kind: str, name: str, namespace: str = "", *, wait: bool = True) -> None:
        """Delete an object, if it is there."""
        scope = ["-n", namespace] if namespace else []
        self.run("delete", kind, name, *scope, "--ignore-not-found", f"--wait={str(wait).lower()}")

    def delete_namespaces(self, *names: str) -> None:
        """Delete namespaces, those that are there, all at the same time, and wait until they are gone."""
        self.run("delete", "namespace", *names, "--ignore-not-found", "--wait=false")
        wait_for("the namespaces to go", partial(self._hurry, *names), seconds=600, pause=3)

    def _hurry(self, *names: str) -> bool:
        """Have namespaces looked at that are left; tell whether there are none.

        Where a pod is left, the namespace controller looks again only after half of the time that the
        pod may take, though it be gone in a second, unless the namespace changes.
        """
        left = self.run("get", "namespace", *names, "--ignore-not-found", "-o", "name").split()
        if left:
            mark = f"example.org/looked-at={time.time()}"
            # One may have gone by now.
            self.run("annotate", "--overwrite", *left, mark, check=False)
        return not left

    def replicas(self, name: str, namespace: str) -> int:
        """Return the replicas that a Deployment is to have."""
        found = self.get("deployment", name, namespace)
        assert found is not None, f"there is no Deployment {namespace}/{name}"
        return int(found["spec"]["replicas"])


def wait_for(
    what: str,
    probe: Callable[[], Value],
    *,
    seconds: float = 60,
    pause: float = 0.2,
) -> Value:
    """Wait until a probe returns something true, and return that; ``NeverError`` after ``seconds``.

    An assertion that fails inside the probe, or a field that is not there, counts as not yet.
    """
    deadline = time.monotonic() + seconds
    while True:
        found: Any
        try:
            found = probe()
        except (AssertionError, LookupError, KubectlError, OSError) as error:
            found, last = None, repr(error)
        else:
            last = repr(found)
        if found:
            return found  # type: ignore[no-any-return]
        if time.monotonic() > deadline:
            raise NeverError(f"waited {seconds:g} s in vain for {what}; last seen: {last[:2000]}")
        time.sleep(pause)


def condition(found: Object | None, kind: str) -> Object:
    """Return a condition of an object, empty if it has none of that type."""
    conditions = (found or {}).get("status", {}).get("conditions", [])
    return next((c for c in conditions if c["type"] == kind), {})
