"""``flag`` (pure): the application itself takes traffic off, told by a key of a ConfigMap."""

from firewatch.api.circuit import BreakerRecord, Phase
from firewatch.api.circuit_breaker import CircuitBreaker, Flag, Mechanism
from firewatch.respond.circuit.levers import MOST_BYTES, Lever, as_text, pointer
from firewatch.respond.circuit.plan import Obstacle, Plan
from firewatch.respond.circuit.world import ConfigMap, World


def plan(world: World, wanted: CircuitBreaker) -> Plan | Obstacle:
    """Return which key would be set."""
    if wanted.flag is None:
        return Obstacle("NoFlag", "circuitBreaker.flag names no setting")
    return _find_unfit(wanted.flag, world.config_map) or Plan(
        Mechanism.FLAG, f"set {_words(wanted.flag)} to {wanted.flag.open!r}"
    )


def _find_unfit(flag: Flag, found: ConfigMap | None) -> Obstacle | None:
    """Return why the key cannot be set."""
    name = flag.config_map
    if found is None:
        return Obstacle("NoFlag", f"there is no ConfigMap {name} here; create it")
    if found.is_immutable:
        return Obstacle("FlagImmutable", f"ConfigMap {name} is immutable; make one that is not")
    if found.data is None:
        return Obstacle("NoFlag", f"ConfigMap {name} has no data; give it a key")
    before = found.data.get(flag.key)
    if before == flag.open:
        return Obstacle("FlagIsSet", f"{_words(flag)} says so already")
    if before is not None and len(as_text(before).encode()) > MOST_BYTES:
        message = f"{_words(flag)} is longer than {MOST_BYTES} bytes; use another"
        return Obstacle("FlagTooLong", message)
    return None


def _words(flag: Flag) -> str:
    return f"key {flag.key} of ConfigMap {flag.config_map}"


def find_lost(_record: BreakerRecord, world: World) -> str:
    """Return that there is no setting any more, if so."""
    return "the ConfigMap of its flag is gone" if world.config_map is None else ""


def wanted_in(
    record: BreakerRecord, wanted: CircuitBreaker, _world: World
) -> dict[Lever, str | None]:
    """Return what the key is to say; what it said before where that is not given."""
    phase, flag = record.circuit.phase, wanted.flag
    if phase is Phase.CLOSED or flag is None:
        return {}
    says = flag.open if phase is Phase.OPEN else flag.half_open
    if says is None:
        return {}
    return {Lever("ConfigMap", flag.config_map, pointer("data", flag.key)): as_text(says)}
