"""Who may do what in Grafana's folders, as its HTTP API says it (pure)."""

from collections.abc import Mapping, Sequence

from firewatch.api.resource import Object
from firewatch.api.visualization import Folder, FolderPermission

_NUMBERS: Mapping[FolderPermission, int] = {FolderPermission.VIEW: 1, FolderPermission.EDIT: 2}
"""Grafana's numbers (its documentation, "Folder Permissions HTTP API")."""
_HOLDERS = ("userId", "teamId", "userUid", "teamUid")


def build_permissions(wanted: Folder, shown: Sequence[Object]) -> list[Object] | None:
    """Return what is to be sent to Grafana; None if it shows that already.

    What is sent takes the place of all there is, so that what users and teams have is repeated. An empty
    list is something to be sent: only administrators may then do anything.
    """
    named = {"Viewer": wanted.viewers, "Editor": wanted.editors}
    roles = {role: _NUMBERS[each] for role, each in named.items() if each in _NUMBERS}
    own = [each for each in shown if not each.get("inherited")]
    if roles == {each["role"]: each["permission"] for each in own if each.get("role") in named}:
        return None
    others = [holder for each in own if (holder := _holder(each))]
    return [*({"role": role, "permission": number} for role, number in roles.items()), *others]


def _holder(shown: Object) -> Object | None:
    """Return what a user or a team has; None for a role."""
    named = {name: shown[name] for name in _HOLDERS if shown.get(name)}
    return {**named, "permission": shown["permission"]} if named else None
