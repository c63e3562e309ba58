"""The last configuration that Prometheus took, kept beside the present one (pure).

A server that refuses a new configuration goes on with the old one, but only until it is started
again. So the old one goes back into the file, and the refused one is not tried again until the stack,
and with it the configuration, changes. All that is remembered stands in the ConfigMap itself.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from firewatch.api.resource import Object
from firewatch.build import names
from firewatch.build.scrape import config_revision, without_raw_scrapes
from firewatch.build.yaml_text import load_yaml

_ROOM = 900_000
"""Characters of both configurations that a ConfigMap is trusted to hold."""
_FAULTY_START = 2
"""Exit status of a Prometheus that could not read its configuration."""


_WORDS = {"scrape_config_files": "additionalScrapeConfigs"}
"""What people know sections by that are called otherwise in the stack."""


def choose_configuration(desired: Object, live: Object | None, *, confirmed: str) -> Object:
    """Return the ConfigMap that is to be applied.

    ``confirmed``: hash of the configuration that Prometheus has confirmed last.
    """
    data = live["data"] if live else {}
    wanted, present = desired["data"][names.CONFIG_KEY], data.get(names.CONFIG_KEY, "")
    refused = data.get(names.REFUSED_KEY)
    if refused == wanted:
        held = {key: data[key] for key in (names.REFUSED_KEY, names.COMPLAINT_KEY) if key in data}
        return _with(desired, {names.CONFIG_KEY: present, **held})
    good = data.get(names.LAST_GOOD_KEY, "")
    if refused or (wanted != present and config_revision(present) == confirmed):
        good = present
    # Jobs in the user's own words are the likeliest to be refused.
    good = good or without_raw_scrapes(wanted) or ""
    if not good or len(wanted) + len(good) > _ROOM:
        return desired
    return _with(desired, {names.LAST_GOOD_KEY: good})


def take_back(live: Object, *, confirmed: str) -> Object | None:
    """Return what goes into the ConfigMap instead; None if there is nothing to go back to."""
    data = live["data"]
    present, good = data.get(names.CONFIG_KEY, ""), data.get(names.LAST_GOOD_KEY)
    if not good or good == present or config_revision(present) == confirmed:
        return None
    others = {key: data[key] for key in data.keys() - {names.LAST_GOOD_KEY}}
    return {**others, names.CONFIG_KEY: good, names.REFUSED_KEY: present}


def refused_parts(live: Object) -> list[str] | None:
    """Return what is new in the configuration that is held back; None if none is."""
    data = live["data"]
    if names.REFUSED_KEY not in data:
        return None
    return differing_parts(data[names.CONFIG_KEY], data[names.REFUSED_KEY])


def _with(desired: Object, data: Mapping[str, str]) -> Object:
    return {**desired, "data": {**desired["data"], **data}}


def differing_parts(before: str, after: str) -> list[str]:
    """Return what two configurations differ in, as people know it: ``scrape job shop``."""
    return [*_differences(load_yaml(before) or {}, load_yaml(after) or {})]


def _differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    for section in sorted({*before, *after} - {"rule_files", "scrape_configs"}):
        if before.get(section) != after.get(section):
            yield _WORDS.get(section, section)
    old, new = _jobs(before), _jobs(after)
    for name in sorted({*old, *new}):
        if old.get(name) != new.get(name):
            yield f"scrape job {name}"


def _jobs(config: Mapping[str, Any]) -> dict[str, Any]:
    return {job["job_name"]: job for job in config.get("scrape_configs") or ()}


def starts_in_vain(pods: Sequence[Object]) -> bool:
    """Tell whether a pod cannot start since it cannot read its configuration."""
    return any(
        (state.get("terminated") or {}).get("exitCode") == _FAULTY_START
        for pod in pods
        for container in pod.get("status", {}).get("containerStatuses") or ()
        if not container.get("ready")
        for state in (container.get("state", {}), container.get("lastState", {}))
    )
