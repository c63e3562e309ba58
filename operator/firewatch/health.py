"""Health of the process: ``/healthz``, ``/readyz`` and ``/metrics``."""

from collections.abc import Callable
from http import HTTPStatus

from aiohttp import web

from firewatch.cluster.client import Cluster
from firewatch.cluster.errors import ClusterError
from firewatch.cluster.kinds import CRD, MONITORING_STACK
from firewatch.metrics import Metrics
from firewatch.serving import metrics_page


class Health:
    """Answers probes.

    An unreachable API server makes the operator not ready, but never unhealthy: a restart in the
    middle of an episode would help nobody.
    """

    def __init__(self, cluster: Cluster, metrics: Metrics, stalled: Callable[[], str]) -> None:
        self._cluster = cluster
        self._metrics = metrics
        self._stalled = stalled

    def application(self) -> web.Application:
        """Return the web application."""
        application = web.Application()
        application.router.add_get("/healthz", self.healthz)
        application.router.add_get("/readyz", self.readyz)
        application.router.add_get("/metrics", metrics_page(self._metrics.registry))
        return application

    async def healthz(self, _: web.Request) -> web.Response:
        """Fail if something does not move any more although the API server answers."""
        stalled = self._stalled()
        if stalled and not await self._api_problem():
            return _answer(HTTPStatus.SERVICE_UNAVAILABLE, stalled)
        return _answer(HTTPStatus.OK, "ok")

    async def readyz(self, _: web.Request) -> web.Response:
        """Fail while the API server does not answer or does not serve our kinds."""
        problem = await self._api_problem()
        if problem:
            return _answer(HTTPStatus.SERVICE_UNAVAILABLE, problem)
        return _answer(HTTPStatus.OK, "ok")

    async def _api_problem(self) -> str:
        name = f"{MONITORING_STACK.plural}.{MONITORING_STACK.group}"
        try:
            await self._cluster.get(CRD, "", name)
        except ClusterError as error:
            return str(error)
        return ""


def _answer(status: HTTPStatus, text: str) -> web.Response:
    return web.Response(status=status, text=f"{text}\n")
