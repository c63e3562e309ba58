"""User journeys: requests one after another, as a user's program sends them, all of which must succeed."""

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import Field

from firewatch.api.blackbox import (
    HeaderName,
    HttpAnswer,
    HttpMethod,
    ProbeTimeout,
    ProbeTls,
    Regexp,
)
from firewatch.api.json_path import JsonPath
from firewatch.api.placeholders import find_names
from firewatch.api.resource import Interval, LabelName, Model, Rule, SecretKeySelector, rules
from firewatch.api.scraping import AlertLabelValue, not_among
from firewatch.api.workload import FREE, Workload

RUN = "run"
"""Variable that every journey has: a text that no other run has had."""

_Text = Annotated[str, Field(max_length=1024)]
_VariableName = Annotated[str, Field(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$", max_length=63)]
_StepName = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=48)]
_LABELS = (
    *("job", "journey", "step", "reason", "instance", "severity", "pack"),
    *("slo", "slo_policy", "window", "long", "short"),
)


class JourneyVariable(
    Model,
    json_schema_extra=rules(
        Rule(
            "has(self.value) != has(self.secretKeyRef)",
            "set value or secretKeyRef, and not both",
        ),
        Rule(f"self.name != '{RUN}'", f"{RUN} is there already; choose another name"),
    ),
):
    """A value that steps can name as ``${name}``."""

    name: _VariableName
    """Its name."""
    value: _Text | None = None
    """The value. Credentials do not belong here: everybody who may read the stack would see them."""
    secret_key_ref: SecretKeySelector | None = None
    """Key of a Secret with the value; only the runner's pods mount it, and a changed one is used within
    a minute.
    """


class JourneyExtract(
    Model,
    json_schema_extra=rules(
        Rule(
            "[has(self.jsonPath), has(self.header), has(self.regexp)].filter(x, x).size() == 1",
            "set exactly one of jsonPath, header and regexp",
        ),
        Rule(f"self.variable != '{RUN}'", f"{RUN} is there already; choose another name"),
    ),
):
    """A part of an answer that later steps can name."""

    variable: _VariableName
    """Name by which later steps know it, as ``${name}``."""
    json_path: JsonPath | None = None
    """Part of a JSON body, as ``data.token`` or ``items[0].id``."""
    header: HeaderName | None = None
    """Name of a header of the answer."""
    regexp: Regexp | None = None
    """Expression of which the first group, or all if it has none, is found in the body."""


class JourneyStep(
    HttpAnswer,
    json_schema_extra=rules(
        Rule(
            "[has(self.jsonBody), has(self.formBody), has(self.body)].filter(x, x).size() <= 1",
            "set one of jsonBody, formBody and body",
        ),
    ),
):
    """A request of a journey, and what is expected of the answer.

    In ``path``, ``headers``, bodies and ``equals``, ``${name}`` stands for a variable, and ``$$`` for a
    dollar sign.
    """

    name: _StepName
    """Name of the step; the label ``step`` of its series."""
    method: HttpMethod = HttpMethod.GET
    """Method of the request."""
    path: str = Field(default="/", pattern=r"^/[^\s#]*$", max_length=1024)
    """Path and query, after the journey's ``baseUrl``. What a variable stands for is escaped in it."""
    headers: dict[HeaderName, _Text] = Field(default={}, max_length=32)
    """Headers of the request. Cookies are kept for the later steps of the same run."""
    json_body: dict[str, Any] | None = Field(default=None, json_schema_extra=FREE)
    """Body of the request as a JSON object. A text that is nothing but ``${name}`` becomes the value as it was
    extracted, a number for example.
    """
    form_body: dict[Annotated[str, Field(max_length=128)], _Text] | None = Field(
        default=None, max_length=64
    )
    """Body of the request as the fields of a form."""
    body: Annotated[str, Field(max_length=8192)] | None = None
    """Body of the request as it stands; give its ``Content-Type`` in ``headers``."""
    follow_redirects: bool = False
    """Whether redirects are followed; otherwise they are answers as all others. Headers go along, also
    to another host.
    """
    time_limit: ProbeTimeout = "5s"
    """How long it may take, its answer included; then it fails."""
    extract: list[JourneyExtract] = Field(
        default=[],
        max_length=8,
        json_schema_extra={
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["variable"],
        },
    )
    """What later steps need of the answer; the step fails if it is not there."""
    always: bool = False
    """Whether it is taken also after a step that failed, as to remove what was created; left out if a
    variable that it names was never extracted.
    """


class Journey(Model):
    """Requests one after another, as a user's program sends them; it succeeds if all of them do.

    It brings three alerts, JourneyFailing, JourneySlow and JourneyNotRun, an objective with its error
    budget, and its availability in ``status.journeys``.
    """

    name: str = Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=48)
    """Name of the journey; the label ``journey`` of its series and alerts, and the name of its
    objective.
    """
    base_url: str = Field(pattern=r"^https?://[^\s/?#@]+(/[^\s?#]*[^\s?#/])?$", max_length=512)
    """Address in front of every step's ``path``, without a slash at its end."""
    tls_config: ProbeTls | None = None
    """How the server's certificate is checked."""
    interval: Interval = "1m"
    """How often it is taken. A run that takes longer is not overtaken by the next."""
    variables: list[JourneyVariable] = Field(
        default=[],
        max_length=32,
        json_schema_extra={
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
        },
    )
    """Values that steps can name. ``${run}`` is always there: a text that no other run has had, as
    for the name of a new user.
    """
    steps: list[JourneyStep] = Field(
        min_length=1,
        max_length=16,
        json_schema_extra={
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
        },
    )
    """The requests, in their order."""
    slow_above: Interval = "5s"
    """Mean duration of the whole over five minutes above which JourneySlow fires."""
    down_for: Interval = "2m"
    """How long it may fail until JourneyFailing fires."""
    objective: float = Field(default=99.9, gt=0, lt=100)
    """Percent of the time in 30 days in which it is to succeed."""
    labels: dict[LabelName, AlertLabelValue] = Field(
        default={},
        max_length=32,
        json_schema_extra=rules(not_among(_LABELS)),
    )
    """Labels added to its alerts, as ``team: payments``."""


class JourneyRunner(Workload):
    """The pod that takes the journeys, of the operator's own image."""

    own_flags = frozenset({"config", "files", "port"})


def unknown_names(journey: Journey) -> Iterator[tuple[str, str]]:
    """Yield the steps and the names in them that stand for nothing when the step is taken."""
    known = {RUN, *(each.name for each in journey.variables)}
    for step in journey.steps:
        texts = [
            *(step.path, step.headers, step.json_body, step.form_body, step.body),
            *(part.equals for part in step.fail_if_body_json_not_matches),
        ]
        for text in texts:
            yield from ((step.name, name) for name in find_names(text) if name not in known)
        known |= {each.variable for each in step.extract}
