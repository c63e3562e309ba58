"""Which cluster and namespace the user means, as kubectl takes them."""

import os
from pathlib import Path

import yaml

from firewatch.api.resource import Object


def kubeconfig_path() -> str:
    """Return the user's kubeconfig: the first file of KUBECONFIG, or that in the home folder."""
    named = [each for each in os.environ.get("KUBECONFIG", "").split(os.pathsep) if each]
    return named[0] if named else str(Path.home() / ".kube" / "config")


def context_namespace(path: str) -> str:
    """Return the namespace of the present context, ``default`` if it names none."""
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8")) or {}
    except OSError:
        return "default"  # the connection will say what is wrong with the file
    current = content.get("current-context")
    contexts = content.get("contexts") or []
    found: Object = next((each for each in contexts if each.get("name") == current), {})
    return str((found.get("context") or {}).get("namespace") or "default")
