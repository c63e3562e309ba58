"""The Job that runs a policy's unit tests with ``promtool`` of the stack's own image."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from firewatch.api.resource import Object
from firewatch.api.rule_tests import RuleTests
from firewatch.api.workload import Workload
from firewatch.build import names, versions
from firewatch.build.objects import Part, Stack, config_map
from firewatch.build.pods import Program, pod_template
from firewatch.build.yaml_text import dump_yaml

SECONDS = 60
"""How long the tests of a policy may take, with the start of their pod."""
SIZE_LIMIT = 900 * 1024
"""Bytes of rules and tests together; the API server takes 1 MiB with everything around them."""

_FORGET_SECONDS = 600
_FOLDER = "/tests"
_RULES_FILE, _TESTS_FILE = "rules.yml", "tests.yml"
_REQUESTS = {"cpu": "50m", "memory": "64Mi"}
_LIMITS = {"cpu": "1", "memory": "512Mi"}


@dataclass(frozen=True)
class TestRun:
    """One run of a policy's tests."""

    __test__ = False
    """Not a class of tests, whatever pytest makes of its name."""

    policy: str
    """Namespace and name of the policy."""
    revision: str

    def name(self, stack: str) -> str:
        """Return the name of its Job and ConfigMap."""
        return names.test_name(stack, f"{self.policy}/{self.revision}")


def revision_of_tests(rules: str, tests: Mapping[str, Any]) -> str:
    """Return the hash of what a run depends on: the digest of the rule file, and the tests."""
    return names.short_hash(f"{rules}\0{json.dumps(tests, sort_keys=True)}", 16)


def render_tests(tests: RuleTests) -> str:
    """Return the file for ``promtool test rules``."""
    content: Object = tests.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return dump_yaml({"rule_files": [_RULES_FILE], **content})


def build_test_files(stack: Stack, run: TestRun, rules: str, tests: str) -> Object:
    """Return the ConfigMap with the rules and their tests."""
    return config_map(_part(stack, run), {_RULES_FILE: rules, _TESTS_FILE: tests})


def build_test_job(stack: Stack, run: TestRun) -> Object:
    """Return the Job.

    Its result is the exit status, and the end of promtool's output as the container's termination
    message, so that nobody needs the right to read logs.
    """
    assert stack.spec.metrics
    part = _part(stack, run)
    # Placed as Prometheus is, since the image is there already; nothing else of its block holds.
    placed = stack.spec.metrics.model_dump(
        include={"image", "node_selector", "tolerations", "priority_class_name"}
    )
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": part.meta(),
        "spec": {
            "activeDeadlineSeconds": SECONDS,
            "backoffLimit": 0,
            "ttlSecondsAfterFinished": _FORGET_SECONDS,
            "template": pod_template(part, Workload.model_validate(placed), _promtool(part.name)),
        },
    }


def _part(stack: Stack, run: TestRun) -> Part:
    return Part(stack, run.name(stack.name), names.RULE_TESTS, names.TESTS)


def _promtool(files: str) -> Program:
    mounts: list[Object] = [
        {"name": "tests", "mountPath": _FOLDER, "readOnly": True},
        # promtool keeps the series of a test in a folder of its own making.
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - a volume of this pod alone
    ]
    return Program(
        name="promtool",
        image=versions.PROMETHEUS,
        args=["test", "rules", f"{_FOLDER}/{_TESTS_FILE}"],
        requests=_REQUESTS,
        container={
            "command": ["/bin/promtool"],
            "resources": {"requests": {**_REQUESTS}, "limits": {**_LIMITS}},
            "terminationMessagePolicy": "FallbackToLogsOnError",
            "volumeMounts": mounts,
        },
        pod={
            "restartPolicy": "Never",
            "volumes": [
                {"name": "tests", "configMap": {"name": files}},
                {"name": "tmp", "emptyDir": {"sizeLimit": "256Mi"}},
            ],
        },
    )
