"""A real browser in a pod, for pages that are watched."""

import json
import re
from base64 import b64decode
from dataclasses import dataclass
from pathlib import Path

from e2e.kubectl import Kubectl, Object

NAME = "browser"
ORIGIN = "http://localhost:8088"
"""Where the browser has its page from."""
_HERE = Path(__file__).parent
_RUNBOOK = _HERE.parent / "docs" / "reference" / "runbook.md"


@dataclass(frozen=True)
class Visit:
    """What a browser has to say of a visit."""

    log: list[str]
    """Lines of its console."""
    picture: bytes
    """The page after the click, as PNG."""


@dataclass(frozen=True)
class Browser:
    """A browser in a namespace."""

    kubectl: Kubectl
    namespace: str

    def start(self, image: str) -> None:
        """Make the pod, and wait until it runs."""
        self.kubectl.apply(_pod(self.namespace, image))
        wait = ("wait", f"pod/{NAME}", "-n", self.namespace)
        self.kubectl.run(*wait, "--for=condition=Ready", "--timeout=120s")

    def visit(self, address: str, script: str) -> Visit:
        """Load a page with a script, click its button, and leave it."""
        program = (_HERE / "visit.py").read_text(encoding="utf-8")
        pod = ("exec", "-i", NAME, "-n", self.namespace, "--")
        printed = self.kubectl.run(*pod, "python3", "-", address, script, stdin=program)
        found = json.loads(printed)
        return Visit(found["log"], b64decode(found["picture"]))


def runbooks_script(api_key: str) -> str:
    """Return the runbook's own example, with a key that is good."""
    text = _RUNBOOK.read_text(encoding="utf-8")
    found = re.search(r"```javascript\n(// Client-side RUM.*?)```", text, re.DOTALL)
    assert found
    return found[1].replace("your-api-key", api_key)


def _pod(namespace: str, image: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": NAME, "namespace": namespace},
        "spec": {
            "terminationGracePeriodSeconds": 1,
            "securityContext": {"runAsUser": 65534, "runAsGroup": 65534},
            "containers": [
                {
                    "name": NAME,
                    "image": image,
                    "command": ["sleep", "infinity"],
                    "env": [{"name": "HOME", "value": "/tmp"}],
                    "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
                }
            ],
            "volumes": [{"name": "tmp", "emptyDir": {}}],
        },
    }
