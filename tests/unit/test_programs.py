"""The test bed's programs: each has one source, and adding one rebuilds no other."""

from dataclasses import replace

import pytest

from e2e.cluster.binaries import BINARIES
from e2e.cluster.images import all_images, all_programs, component_image
from e2e.cluster.interface import ClusterError
from e2e.cluster.programs import RELEASES, program
from e2e.cluster.progress import SilentProgress


def test_no_two_programs_have_the_same_name() -> None:
    names = [*BINARIES, *(each.name for release in RELEASES for each in release.programs)]
    assert len(names) == len(set(names))


def test_releases_are_kept_apart_and_anew_when_one_changes() -> None:
    folders = {release.folder for release in RELEASES}
    assert len(folders) == len(RELEASES)
    first = RELEASES[0]
    assert replace(first, placeholders=[("a", "b")]).folder not in folders


def test_a_program_nobody_knows_is_named() -> None:
    with pytest.raises(ClusterError, match="no program grafana"):
        program("grafana", SilentProgress())


def test_images_that_are_loaded_when_asked_cost_no_cluster_anything() -> None:
    alertmanager = component_image("alertmanager")
    assert alertmanager not in all_images()
    assert "alertmanager" not in all_programs()


def test_an_image_nobody_has_is_named() -> None:
    with pytest.raises(ClusterError, match="no image of grafana"):
        component_image("grafana")
