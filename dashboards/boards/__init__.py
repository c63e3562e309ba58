"""All dashboards, in the order in which they are listed."""

from dashboards.boards.application import API, BUSINESS, COORDINATION
from dashboards.boards.checks import OBJECTIVES, PROBES
from dashboards.boards.database import POSTGRESQL
from dashboards.boards.kubernetes import WORKLOADS
from dashboards.boards.monitoring import ALERTS, FIREWATCH, MONITORING
from dashboards.boards.node import NODE
from dashboards.boards.overview import OVERVIEW
from dashboards.boards.users import JOURNEYS, REAL_USERS

BOARDS = (
    *(OVERVIEW, API, COORDINATION, BUSINESS),
    *(NODE, WORKLOADS, POSTGRESQL, PROBES, JOURNEYS, REAL_USERS, OBJECTIVES),
    *(ALERTS, MONITORING, FIREWATCH),
)
