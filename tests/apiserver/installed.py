"""The admission policies of an installation, in the API server of the tests."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import yaml

from firewatch.api.resource import Object
from tests.apiserver.kubectl import Kubectl, KubectlError

KINDS = ("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")


def policies(installation: str, name: str) -> list[Object]:
    """Return an admission policy and its binding out of the manifests of an installation."""
    found = [
        each
        for each in yaml.safe_load_all(installation)
        if each["kind"] in KINDS and each["metadata"]["name"] == name
    ]
    assert [each["kind"] for each in found] == [*KINDS]
    return found


@contextmanager
def installed(
    kubectl: Kubectl, objects: list[Object], refused: Callable[[], str]
) -> Iterator[None]:
    """Have admission policies in force, which is seen by what they refuse, and remove them after.

    Other tests share the API server.
    """
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    kubectl("apply", "-f", "-", text=text)
    try:
        _await_refusal(refused)
        yield
    finally:
        kubectl("delete", "-f", "-", text=text)


def _await_refusal(refused: Callable[[], str]) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            refused()
        except KubectlError as error:
            if "ValidatingAdmissionPolicy" in str(error):
                return
            raise
        time.sleep(0.1)
    raise AssertionError("the admission policy is not in force")
