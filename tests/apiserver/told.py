"""Episodes of which people are told, at real endpoints on this machine."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from firewatch.api.resource import Key, Object
from firewatch.cluster.kinds import AUTO_RESPONSE, EVENT, MONITORING_STACK
from firewatch.respond.alerts import Alert, AlertState
from firewatch.respond.deliver import Courier
from firewatch.respond.notifier import Notifier
from firewatch.respond.onlooker import reconcile_onlooker
from firewatch.respond.registry import ONLOOKER, source_key
from firewatch.respond.signals import RuleState, SourceState
from tests.apiserver.episodes import START, Episodes

_FOREVER = 50
_SOON = 0.1


@dataclass
class Told(Episodes):
    """A namespace whose AutoResponses tell people, by a courier that really sends."""

    courier: Courier | None = None
    notifier: Notifier | None = field(default=None, init=False)

    async def alerting_stack(self, *receivers: Object, **alerting: Any) -> None:
        """Create the stack whose alerts count and whose receivers can be told."""
        route = {"receiver": receivers[0]["name"]}
        block = {"receivers": [*receivers], "route": route, **alerting}
        await self.create(MONITORING_STACK, "main", spec={"metrics": {}, "alerting": block})

    async def telling(self, *notify: Object, name: str = "scale", **spec: Any) -> None:
        """Create an AutoResponse that raises the target and tells people."""
        scale = {"scaleUp": {"by": 2, "maxReplicas": 10}}
        actions = [scale, *({"notify": each} for each in notify)]
        await self.response(name, **{"actions": actions, **spec})

    async def onlooker(self, *notify: Object, name: str = "tell", **spec: Any) -> None:
        """Create an AutoResponse that changes nothing and tells people."""
        wanted = {
            "trigger": {"preset": "alert_created"},
            "actions": [{"notify": each} for each in notify],
            "recovery": {"hold": "10s"},
            "mode": "enforce",
            **spec,
        }
        await self.create(AUTO_RESPONSE, name, spec=wanted)
        self.responses.append(name)

    def alerts(self, firing: Iterable[str], quiet: Iterable[str] = ()) -> None:
        """Have the source say which alerts fire, and which rules there are besides."""
        firing = [*firing]
        rules = tuple(self._rule(name, fires=name in firing) for name in (*firing, *quiet))
        state = SourceState(self.now, started_at=START - timedelta(hours=1), rules=rules)
        self.sources.polled(source_key(self.namespace, "main"), state)

    def _rule(self, name: str, *, fires: bool) -> RuleState:
        labels = {"alertname": name, "severity": "warning"}
        annotations = {"summary": f"{name} is too much"}
        alert = Alert(f"id-{name}", name, labels, AlertState.FIRING, self.now, annotations)
        return RuleState(
            name=name,
            labels={},
            healthy=True,
            error="",
            evaluated_at=self.now,
            interval=timedelta(seconds=1),
            hold=timedelta(0),
            has_data=True,
            alerts=(alert,) if fires else (),
        )

    async def step(self) -> None:
        """Take passes over targets and onlookers until they rest, then send what is due."""
        await self.look()
        await self.tell()

    async def look(self) -> None:
        """Take passes over targets and onlookers until they rest, and send nothing."""
        await super().step()
        for name in self.responses:
            await self._look_on(Key(ONLOOKER, self.namespace, name))

    async def _look_on(self, key: Key) -> None:
        for _ in range(_FOREVER):
            seconds = await reconcile_onlooker(self.context, key)
            if seconds is None or seconds > _SOON:
                return
        raise AssertionError(f"{key} does not come to rest")

    async def tell(self) -> None:
        """Take a pass over each action that tells people."""
        assert self.courier
        self.notifier = self.notifier or Notifier(self.context, self.courier)
        for name in self.responses:
            entry = self.registry.get(self.namespace, name)
            for key in entry.telling if entry else ():
                await self.notifier.reconcile(key)

    def restart(self) -> None:
        """Forget all that a process remembers but the source's last word."""
        super().restart()
        self.notifier = None

    async def until_told(self) -> None:
        """Let time pass until every alert is over and everybody has been told so."""
        for _ in range(_FOREVER):
            self.alert(firing=False)
            await self.step()
            if not any([await self._is_open(name) for name in self.responses]):
                return
            self.now += timedelta(seconds=6)
        raise AssertionError("somebody is not told for ever")

    async def _is_open(self, name: str) -> bool:
        found = await self.notices(name)
        return bool(found.get("incidents") or found.get("outbox"))

    async def notices(self, name: str = "scale") -> Object:
        """Return what the status says of messages."""
        found: Object = (await self.status(name)).get("notices") or {}
        return found

    async def condition(self, type_: str, name: str = "scale") -> Object:
        """Return a condition of an AutoResponse."""
        conditions = (await self.status(name)).get("conditions", [])
        return next((each for each in conditions if each["type"] == type_), {})

    async def event_reasons(self) -> list[str]:
        """Return the reasons of all Events in the namespace."""
        return [each["reason"] for each in await self.cluster.list(EVENT, self.namespace)]
