"""The Job that runs a policy's unit tests with ``promtool`` of the stack's own image."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from firewatch.api.resource import Object
from firewatch.api.rule_tests import RuleTests
from firewatch.build import names
from firewatch.build.objects import Part, Stack, config_map
from firewatch.build.promtool import build_promtool_job
from firewatch.build.yaml_text import dump_yaml

SIZE_LIMIT = 900 * 1024
"""Bytes of rules and tests together; the API server takes 1 MiB with everything around them."""

_FOLDER = "/tests"
_RULES_FILE, _TESTS_FILE = "rules.yml", "tests.yml"


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
    """Return the Job."""
    arguments = ["test", "rules", f"{_FOLDER}/{_TESTS_FILE}"]
    part = _part(stack, run)
    return build_promtool_job(part, arguments, files=part.name, folder=_FOLDER)


def _part(stack: Stack, run: TestRun) -> Part:
    return Part(stack, run.name(stack.name), names.RULE_TESTS, names.TESTS)
