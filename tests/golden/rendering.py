"""Renders the chart with Helm 3 and Helm 4, for the tests of the chart."""

import os
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from e2e.cluster import binaries

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "firewatch"
CASES = Path(__file__).parent / "chart"
NAMES = sorted(path.name.removesuffix(".values.yaml") for path in CASES.glob("*.values.yaml"))
HELMS = ("helm", "helm4")
# Helm without a cluster takes this for the cluster's version.
KUBERNETES = ("--kube-version", binaries.KUBERNETES)

Object = dict[str, Any]


@dataclass(frozen=True)
class Helm:
    """The program, cut off from whatever cluster and plugins the user has."""

    program: Path
    home: Path
    _rendered: dict[tuple[str, ...], str] = field(default_factory=dict, compare=False)
    """What was rendered already, by command line: most tests look at the same few."""

    def run(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        folders = ("HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME")
        return subprocess.run(
            [self.program, *arguments],
            env=os.environ | {"KUBECONFIG": os.devnull} | dict.fromkeys(folders, str(self.home)),
            capture_output=True,
            text=True,
            check=False,
        )

    def template(
        self, *arguments: str | Path, chart: Path = CHART, release: str = "firewatch"
    ) -> str:
        """Return the manifests; of a chart that is changed meanwhile, those of the first time."""
        command = ("template", release, chart, "--namespace", "firewatch", *KUBERNETES)
        key = tuple(map(str, (*command, *arguments)))
        if key not in self._rendered:
            result = self.run(*key)
            assert result.returncode == 0, result.stderr
            self._rendered[key] = _without_blank_ends(result.stdout)
        return self._rendered[key]

    def objects(self, *arguments: str | Path) -> list[Object]:
        """Return the manifests as data, which is the caller's own."""
        return parse(self.template(*arguments))

    def refusal(self, *settings: str) -> str:
        """Return what Helm says to values that it must not take."""
        sets = [argument for setting in settings for argument in ("--set", setting)]
        result = self.run("template", "firewatch", CHART, *KUBERNETES, *sets)
        assert result.returncode != 0, f"{settings} were taken"
        return result.stderr


def _without_blank_ends(text: str) -> str:
    """Take away the empty lines at the end of a template, which Helm 4 leaves and Helm 3 does not."""
    return re.sub(r"\n\s*\n(?=---\n)", "\n", text).rstrip() + "\n"


def parse(text: str) -> list[Object]:
    return [item for item in yaml.load_all(text, Loader=yaml.CSafeLoader) if item]


def of_kind(objects: list[Object], *kinds: str) -> list[Object]:
    return [item for item in objects if item["kind"] in kinds]


def hooks(objects: list[Object], event: str) -> list[Object]:
    """Return what Helm makes at an event only."""
    return [
        each
        for each in objects
        if each["metadata"].get("annotations", {}).get("helm.sh/hook") == event
    ]


def staying(objects: list[Object]) -> list[Object]:
    """Return what an installation is made of, without hooks."""
    return [
        each for each in objects if "helm.sh/hook" not in each["metadata"].get("annotations", {})
    ]


def name_of(item: Object) -> str:
    name: str = item["metadata"]["name"]
    return name
