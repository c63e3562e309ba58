"""Scrape jobs in Prometheus' own words: read from the user's Secret, kept in one of the stack's."""

from base64 import b64decode
from binascii import Error as Base64Error

from firewatch.api.conditions import Finding
from firewatch.api.resource import Object
from firewatch.build import names
from firewatch.build.objects import Stack
from firewatch.build.raw_scrapes import (
    RawScrapes,
    build_raw_scrapes_secret,
    parse_raw_scrapes,
    raw_scrapes_source,
)
from firewatch.cluster.apply import apply, delete_ours
from firewatch.cluster.client import Cluster
from firewatch.cluster.errors import ClusterError, UnreachableError
from firewatch.cluster.find import find
from firewatch.cluster.kinds import CONFIG_MAP, SECRET, Kind
from firewatch.reconcile.findings import not_applied


async def gather_raw_scrapes(cluster: Cluster, stack: Stack) -> RawScrapes | None:
    """Return the jobs that the stack's Secret holds; None if there is no such key."""
    source = raw_scrapes_source(stack.spec.metrics)
    if source is None or stack.spec.metrics is None:
        return None
    live = await _read(cluster, SECRET, stack.namespace, source.name)
    encoded = (live.get("data") or {}).get(source.key)
    if not encoded:
        return None
    try:
        text = b64decode(encoded).decode()
    except (Base64Error, UnicodeDecodeError):
        return RawScrapes(faults=("it is not text",))
    metadata = live["metadata"]
    version = f"{metadata['uid']}/{metadata['resourceVersion']}/{source.key}"
    taken = [job.name for job in stack.spec.metrics.scrape_jobs]
    return parse_raw_scrapes(text, version=version, taken=taken)


async def keep_raw_scrapes(
    cluster: Cluster, stack: Stack, raw: RawScrapes | None, *, is_new: bool
) -> Finding | None:
    """Make the stack's own Secret hold the jobs; return why it cannot.

    It also holds what the present configuration and the last good one refer to. ``is_new`` says
    that this form of the stack has not been reported on yet: the Secret may be one too many.
    """
    name = names.raw_scrapes_name(stack.name)
    if raw_scrapes_source(stack.spec.metrics) is None:
        if is_new:
            await delete_ours(cluster, SECRET, stack.namespace, name)
        return None
    live = await _read(cluster, SECRET, stack.namespace, name)
    files = await _files_in_use(cluster, stack, live)
    if raw and raw.file:
        files[raw.file] = raw.text
    if not files and not live:
        return None
    try:
        await apply(cluster, SECRET, build_raw_scrapes_secret(stack, files), known=live or None)
    except UnreachableError:
        raise
    except ClusterError as error:
        return not_applied(SECRET.kind, name, error)
    return None


async def _files_in_use(cluster: Cluster, stack: Stack, live: Object) -> dict[str, str]:
    held = live.get("data") or {}
    if not held:
        return {}
    name = names.prometheus_config_name(stack.name)
    config = await _read(cluster, CONFIG_MAP, stack.namespace, name)
    texts = (config.get("data") or {}).values()
    return {
        file: b64decode(encoded).decode()
        for file, encoded in held.items()
        if any(file in text for text in texts)
    }


async def _read(cluster: Cluster, kind: Kind, namespace: str, name: str) -> Object:
    """Return an object, or an empty one if there is none."""
    return await find(cluster, kind, namespace, name) or {}
