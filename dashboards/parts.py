"""What dashboards are put together from: panels in rows, variables, and links that keep both.

Every query is held to the jobs and instances that are chosen above it.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, table, timeseries
from grafana_foundation_sdk.models import common as common_models
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import prometheus as prometheus_models

CHOSEN = 'job=~"$job", instance=~"$instance"'
"""Matchers of what is chosen above a dashboard."""
RANGE = "[$__rate_interval]"

_SOURCE = common_models.DataSourceRef(type_val="prometheus", uid="$datasource")
_WIDTH, _HEIGHT = 24, 8
_KEPT = "${__url_time_range}&${datasource:queryparam}&${job:queryparam}&${instance:queryparam}"
"""What a link takes along to another dashboard."""
_GREEN, _ORANGE, _RED = "green", "orange", "red"


@dataclass(frozen=True)
class Query:
    """A query and what its series are called."""

    expression: str
    legend: str = ""


@dataclass(frozen=True)
class Panel:
    """A panel as dashboards are written."""

    title: str
    description: str
    unit: str
    queries: Sequence[Query]
    link: str = ""
    """Uid of the dashboard with the details."""
    limits: tuple[float, float] | None = None
    """From where on it is orange, and from where on red; the other way round if the first is larger."""
    least: float | None = 0
    """Lower end of the axis; none where values may be below 0."""
    most: float | None = None
    """Upper end of the axis."""
    stacked: bool = False
    states: Sequence[tuple[str, str, str]] = ()
    """Values with their text and colour."""
    empty: str = ""
    """Why there may be nothing to see, and what is shown then."""


@dataclass(frozen=True)
class Lines(Panel):
    """Series over time."""


@dataclass(frozen=True)
class Number(Panel):
    """The last value of each series."""


@dataclass(frozen=True)
class Rows(Panel):
    """The last value of each series, in a table of their labels."""


@dataclass(frozen=True)
class Variable:
    """A label by which a dashboard can be narrowed."""

    name: str
    label: str
    query: str


@dataclass(frozen=True)
class Board:
    """A dashboard as it is written."""

    uid: str
    title: str
    purpose: str
    audience: str
    subject: str
    """A metric of the jobs and instances that can be chosen; none where series have neither."""
    rows: Sequence[tuple[str, Sequence[Panel]]]
    variables: Sequence[Variable] = ()


def build(board: Board) -> models.Dashboard:
    """Return a dashboard."""
    found = (
        dashboard.Dashboard(board.title)
        .uid(board.uid)
        .description(f"Purpose: {board.purpose} For: {board.audience}")
        .tags(["firewatch"])
        .readonly()
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .time("now-3h", "now")
        .timezone("browser")
        .refresh("1m")
        .link(_neighbours())
        .with_variable(_data_source())
    )
    for each in (*_narrowing(board.subject), *board.variables):
        found.with_variable(_choice(each))
    numbers = itertools.count(1)
    for title, panels in board.rows:
        found.with_row(dashboard.Row(title).id(next(numbers)))
        for panel in panels:
            found.with_panel(_panel(panel, _WIDTH // len(panels)).id(next(numbers)))
    return found.build()


def _narrowing(subject: str) -> Sequence[Variable]:
    if not subject:
        return ()
    return (
        Variable("job", "Job", f"label_values({subject}, job)"),
        Variable("instance", "Instance", f'label_values({subject}{{job=~"$job"}}, instance)'),
    )


def _data_source() -> dashboard.DatasourceVariable:
    current = models.VariableOption(text="Prometheus", value="prometheus", selected=True)
    return (
        dashboard.DatasourceVariable("datasource")
        .label("Data source")
        .type("prometheus")
        .current(current)
    )


def _choice(variable: Variable) -> dashboard.QueryVariable:
    return (
        dashboard.QueryVariable(variable.name)
        .label(variable.label)
        .datasource(_SOURCE)
        .query(variable.query)
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".+")
        .current(models.VariableOption(text=["All"], value=["$__all"], selected=True))
    )


def _neighbours() -> dashboard.DashboardLink:
    return (
        dashboard.DashboardLink("Firewatch")
        .type(models.DashboardLinkType.DASHBOARDS)
        .tags(["firewatch"])
        .as_dropdown(True)
        .include_vars(True)
        .keep_time(True)
    )


_Built = timeseries.Panel | stat.Panel | table.Panel


def _panel(panel: Panel, width: int) -> _Built:
    found = _kind(panel)
    found.title(panel.title).description(panel.description).unit(panel.unit)
    found.datasource(_SOURCE).span(width).height(_HEIGHT)
    _colour(found, panel)
    if panel.least is not None:
        found.min(panel.least)
    if panel.most is not None:
        found.max(panel.most)
    if panel.empty:
        found.no_value(panel.empty)
    if panel.link:
        link = dashboard.DashboardLink("Details").url(f"/d/{panel.link}?{_KEPT}")
        found.links([link])
    for number, query in enumerate(panel.queries):
        found.with_target(_target(panel, query, chr(ord("A") + number)))
    return found


def _kind(panel: Panel) -> _Built:
    if isinstance(panel, Rows):
        return _table()
    return _stat(panel) if isinstance(panel, Number) else _timeseries(panel)


def _colour(found: _Built, panel: Panel) -> None:
    if panel.limits:
        found.thresholds(_thresholds(*panel.limits))
    if panel.states:
        found.mappings([_mapping(panel.states)])


def _target(panel: Panel, query: Query, name: str) -> prometheus.Dataquery:
    found = prometheus.Dataquery().expr(query.expression).datasource(_SOURCE).ref_id(name)
    found.legend_format(query.legend or "__auto")
    if isinstance(panel, Number | Rows):
        found.instant()
    if isinstance(panel, Rows):
        found.format(prometheus_models.PromQueryFormat.TABLE)
    return found


def _timeseries(panel: Panel) -> timeseries.Panel:
    legend = (
        common.VizLegendOptions()
        .display_mode(common_models.LegendDisplayMode.TABLE)
        .placement(common_models.LegendPlacement.BOTTOM)
        .show_legend(True)
        .calcs(["mean", "max", "lastNotNull"])
    )
    tooltip = common.VizTooltipOptions().mode(common_models.TooltipDisplayMode.MULTI)
    found = timeseries.Panel().fill_opacity(10).legend(legend).tooltip(tooltip)
    if panel.stacked:
        found.stacking(common.StackingConfig().mode(common_models.StackingMode.NORMAL))
    if panel.limits:
        style = common.GraphThresholdsStyleConfig()
        found.thresholds_style(style.mode(common_models.GraphThresholdsStyleMode.DASHED))
    return found


def _stat(panel: Panel) -> stat.Panel:
    reduce = common.ReduceDataOptions().calcs(["lastNotNull"])
    mode = common_models.BigValueColorMode
    coloured = bool(panel.limits or panel.states)
    return (
        stat.Panel()
        .reduce_options(reduce)
        .graph_mode(common_models.BigValueGraphMode.NONE)
        .color_mode(mode.BACKGROUND if coloured else mode.NONE)
    )


def _table() -> table.Panel:
    hidden = models.DataTransformerConfig(
        id_val="organize", options={"excludeByName": {"Time": True, "__name__": True}}
    )
    return table.Panel().with_transformation(hidden)


def _thresholds(first: float, second: float) -> dashboard.ThresholdsConfig:
    """Return colours for values that are bad when they are high or, if the first is larger, low."""
    if first <= second:
        steps = ((None, _GREEN), (first, _ORANGE), (second, _RED))
    else:
        steps = ((None, _RED), (second, _ORANGE), (first, _GREEN))
    found = [models.Threshold(value=value, color=color) for value, color in steps]
    return dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(found)


def _mapping(states: Sequence[tuple[str, str, str]]) -> models.ValueMap:
    return models.ValueMap(
        options={
            value: models.ValueMappingResult(text=text, color=color, index=index)
            for index, (value, text, color) in enumerate(states)
        }
    )
