"""What notification settings are built from, and what can be wrong with a part of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from firewatch.api.alerting import LeftOut
from firewatch.api.resource import SecretKeySelector
from firewatch.build import names


class SettingError(ValueError):
    """A part of the settings cannot run; it is left out, and the others do."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class Contents:
    """What a Secret or a ConfigMap holds."""

    version: str
    """Differs whenever the content does, and says nothing about it."""
    data: Mapping[str, bytes]


@dataclass(frozen=True)
class Sources:
    """What the settings refer to, as it was read; what is missing here is not there."""

    secrets: Mapping[tuple[str, str], Contents] = field(default_factory=dict)
    """By namespace and name."""
    config_maps: Mapping[tuple[str, str], Contents] = field(default_factory=dict)
    zones: frozenset[str] = frozenset()
    """Names of those time zones that were asked about and are known."""
    unreadable: frozenset[str] = frozenset()
    """Namespaces whose Secrets the operator may not read."""


@dataclass(frozen=True)
class Owner:
    """Whose settings they are."""

    namespace: str
    """Namespace of the Secrets."""
    policy: str = ""
    """``namespace/name`` of an AlertPolicy; empty for the stack."""
    foreign: bool = False
    """Whether the stack stands in another namespace, so that nothing there may be touched."""

    def qualified(self, name: str) -> str:
        """Return the name by which Alertmanager knows something of this owner."""
        return f"{self.policy}/{name}" if self.policy else name

    def left_out(self, path: str, error: SettingError) -> LeftOut:
        """Return the note about a part that does not run."""
        return LeftOut(
            policy=self.policy, path=path[:256], reason=error.reason, message=str(error)[:1024]
        )


class Credentials:
    """The files that a part of the settings needs, collected while it is built."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self.files: dict[str, bytes] = {}
        """By name of the file."""
        self.versions: dict[str, str] = {}
        """By Secret, as ``namespace/name``."""

    def value(self, owner: Owner, reference: SecretKeySelector) -> bytes:
        """Return a key of a Secret; ``SettingError`` if it is not there or empty."""
        found = self._sources.secrets.get((owner.namespace, reference.name))
        where = f"Secret {reference.name} in namespace {owner.namespace}"
        if found is None and owner.namespace in self._sources.unreadable:
            message = (
                f"{where} may not be read; add the namespace to stacks.namespaces of the chart"
            )
            raise SettingError("SecretForbidden", message)
        if found is None:
            raise SettingError("SecretNotFound", f"there is no {where}; create it")
        value = found.data.get(reference.key, b"")
        if not value.strip():
            raise SettingError("SecretIncomplete", f"{where} has no key {reference.key}; add it")
        return value

    def path(self, owner: Owner, reference: SecretKeySelector) -> str:
        """Return the file in which Alertmanager finds a key of a Secret."""
        value = self.value(owner, reference)
        secret = f"{owner.namespace}/{reference.name}"
        name = f"credential-{names.short_hash(f'{secret}/{reference.key}', 24)}"
        self.files[name] = value
        self.versions[secret] = self._sources.secrets[owner.namespace, reference.name].version
        return f"{names.ALERTMANAGER_CONFIG_DIRECTORY}/{name}"

    def take(self, other: "Credentials") -> None:
        """Add what a part needs that has turned out good."""
        self.files |= other.files
        self.versions |= other.versions
