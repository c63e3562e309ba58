"""Renders the chart with Helm, for the tests of the chart."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from e2e.cluster import binaries

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "firewatch"
CASES = Path(__file__).parent / "chart"
NAMES = sorted(path.name.removesuffix(".values.yaml") for path in CASES.glob("*.values.yaml"))
# Helm without a cluster takes this for the cluster's version.
KUBERNETES = ("--kube-version", binaries.KUBERNETES)

Object = dict[str, Any]


@dataclass(frozen=True)
class Helm:
    """The program, cut off from whatever cluster and plugins the user has."""

    program: Path
    home: Path

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
        command = ("template", release, chart, "--namespace", "firewatch", *KUBERNETES)
        result = self.run(*command, *arguments)
        assert result.returncode == 0, result.stderr
        return result.stdout

    def objects(self, *arguments: str | Path) -> list[Object]:
        return [item for item in yaml.safe_load_all(self.template(*arguments)) if item]

    def refusal(self, *settings: str) -> str:
        """Return what Helm says to values that it must not take."""
        sets = [argument for setting in settings for argument in ("--set", setting)]
        result = self.run("template", "firewatch", CHART, *KUBERNETES, *sets)
        assert result.returncode != 0, f"{settings} were taken"
        return result.stderr


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
