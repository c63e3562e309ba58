"""Rule files of a stack's own, beside those of policies: they stand in Prometheus' own ConfigMap."""

from collections.abc import Mapping

from firewatch.build import names
from firewatch.build.health_rules import render_health_rules
from firewatch.build.journey_rules import render_journey_rules
from firewatch.build.objects import Stack
from firewatch.build.packs.choose import render_packs
from firewatch.build.postgres_exporter import render_postgres_rules
from firewatch.build.surroundings import Surroundings
from firewatch.build.watchdog import render_watchdog_rules


def render_own_rules(stack: Stack, surroundings: Surroundings) -> dict[str, str]:
    """Return the texts of the files by key, those that there are."""
    files = {
        names.WATCHDOG_KEY: render_watchdog_rules() if stack.spec.alerting else None,
        names.POSTGRES_KEY: render_postgres_rules(stack.spec.exporters.postgres),
        names.PACKS_KEY: render_packs(stack, surroundings),
        names.HEALTH_KEY: render_health_rules(stack),
        names.JOURNEYS_KEY: render_journey_rules(stack, surroundings),
    }
    return {key: text for key, text in files.items() if text}


def own_rule_files(files: Mapping[str, str]) -> list[str]:
    """Return the entries of ``rule_files`` for these files.

    The last match nothing and change with the packs and the checks, so that a configuration which the
    server shows proves that it has read these very rules.
    """
    paths = [f"{names.CONFIG_DIRECTORY}/{key}" for key in files]
    for key in (names.PACKS_KEY, names.HEALTH_KEY, names.JOURNEYS_KEY):
        if text := files.get(key):
            name = key.partition(".")[0]
            paths.append(f"{names.CONFIG_DIRECTORY}/{name}-{names.short_hash(text, 16)}")
    return paths
