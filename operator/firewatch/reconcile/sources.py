"""Reading what notification settings refer to, by name only."""

import asyncio
from base64 import b64decode
from collections.abc import Iterable, Mapping
from typing import TypeVar
from zoneinfo import ZoneInfo

from pydantic import BaseModel

from firewatch.api.alerting import ConfigMapKey
from firewatch.api.resource import Object, SecretKeySelector
from firewatch.api.routing import TimeSpan
from firewatch.build.notifying import Contents, Sources
from firewatch.build.references import find_parts
from firewatch.cluster.client import Cluster
from firewatch.cluster.errors import ForbiddenError, NotFoundError
from firewatch.cluster.kinds import CONFIG_MAP, SECRET, Kind

_AT_A_TIME = 8

T = TypeVar("T", bound=BaseModel)
_Found = dict[tuple[str, str], Contents | None]


async def gather_sources(cluster: Cluster, settings: Iterable[tuple[str, BaseModel]]) -> Sources:
    """Read what settings refer to, given each with the namespace of its owner."""
    settings = list(settings)
    secrets = {(space, each.name) for space, each in _parts(settings, SecretKeySelector)}
    config_maps = {(space, each.name) for space, each in _parts(settings, ConfigMapKey)}
    found_secrets = await _read(cluster, SECRET, secrets)
    found_maps = await _read(cluster, CONFIG_MAP, config_maps)
    return Sources(
        secrets=_there(found_secrets),
        config_maps=_there(found_maps),
        zones=_known_zones(each.location for _, each in _parts(settings, TimeSpan)),
        unreadable=frozenset(space for (space, _), held in found_secrets.items() if held is None),
    )


def _parts(settings: Iterable[tuple[str, BaseModel]], kind: type[T]) -> Iterable[tuple[str, T]]:
    return ((space, part) for space, each in settings for part in find_parts(each, kind))


def _there(found: _Found) -> Mapping[tuple[str, str], Contents]:
    return {key: held for key, held in found.items() if held is not None}


async def _read(cluster: Cluster, kind: Kind, wanted: Iterable[tuple[str, str]]) -> _Found:
    """Read objects by name; those that are not there are missing, unreadable ones are None."""
    limit = asyncio.Semaphore(_AT_A_TIME)
    found: _Found = {}

    async def read(namespace: str, name: str) -> None:
        async with limit:
            try:
                found[namespace, name] = _contents(await cluster.get(kind, namespace, name))
            except NotFoundError:
                return
            except ForbiddenError:
                found[namespace, name] = None

    async with asyncio.TaskGroup() as group:
        for key in sorted(wanted):
            group.create_task(read(*key))
    return found


def _contents(live: Object) -> Contents:
    data = live.get("data") or {}
    secret = live["kind"] == SECRET.kind
    return Contents(
        version=f"{live['metadata']['uid']}.{live['metadata']['resourceVersion']}",
        data={key: b64decode(text) if secret else text.encode() for key, text in data.items()},
    )


def _known_zones(names: Iterable[str | None]) -> frozenset[str]:
    return frozenset(name for name in set(names) if name and _is_zone(name))


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        return False
    return True
