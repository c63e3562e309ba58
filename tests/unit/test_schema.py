"""The conversion of pydantic's JSON Schema to structural schemas."""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, create_model

from firewatch.api.resource import Model, Object, Rule, rules
from firewatch.schema import NotStructuralError, plain_text, structural_schema, with_defaults

Short = Annotated[str, Field(max_length=8)]


class Colour(StrEnum):
    """A colour."""

    RED = "red"
    BLUE = "blue"


class Inner(Model, json_schema_extra=rules(Rule("has(self.size)", "of the type"))):
    """Text of the type."""

    size: int = Field(default=3, ge=0)
    """Size."""
    label: Short | None = None
    """Label."""


class Tree(Model):
    """A recursive type."""

    children: list["Tree"] = Field(default=[], max_length=2)
    """Children."""


def convert(annotation: Any, field: Any = None) -> Object:
    """Return the schema of one field ``x`` of a model."""
    model = create_model(
        "Holder",
        __base__=Model,
        x=(annotation, field or Field(description="Text.")),
    )
    return dict(structural_schema(model, "Kind.spec")["properties"]["x"])


def described(**arguments: Any) -> Any:
    return Field(description="Text.", **arguments)


@pytest.mark.parametrize(
    ("annotation", "field", "problem"),
    [
        (str, None, "a string without"),
        (list[Short], None, "a list without max_length"),
        (dict[str, Short], None, "a map without max_length"),
        (list[str], described(max_length=3), "a string without"),
        (dict[str, str], described(max_length=3), "a string without"),
        (Any, None, "no type"),
        (dict[str, Any], described(max_length=3), "a map without a type of its values"),
        (list[Any], described(max_length=3), "no type"),
        (int | Short, None, "a union"),
        (Inner | Tree, None, "a union"),
        (tuple[int, int], None, "keywords that a CRD does not know"),
        (set[int], described(max_length=3), "keywords that a CRD does not know"),
        (timedelta, None, "format duration"),
        (bytes, None, "format binary"),
        (Tree, None, "Tree contains itself"),
        (Short, Field(), "no description"),
        (
            int | str,
            described(json_schema_extra={"x-kubernetes-int-or-string": True}),
            "a string without",
        ),
        (Short, described(json_schema_extra={"readOnly": True}), "keywords"),
        (dict[Colour, Short], described(max_length=3), "keys with"),
        (dict[Annotated[str, Field(pattern="'")], Short], described(max_length=3), "keys with"),
    ],
)
def test_refuses_by_path(annotation: Any, field: Any, problem: str) -> None:
    with pytest.raises(NotStructuralError, match=problem) as caught:
        convert(annotation, field)
    assert caught.value.path.startswith("Kind.spec.x")


def test_refuses_named_fields_with_others_besides() -> None:
    class Open(BaseModel):
        model_config = ConfigDict(extra="allow")

        x: int

    with pytest.raises(NotStructuralError, match="named fields and others besides"):
        structural_schema(Open, "Kind.spec")


@pytest.mark.parametrize(
    ("annotation", "field", "expected"),
    [
        (Short | None, described(default=None), {"type": "string", "maxLength": 8}),
        (float, described(gt=0, lt=5), {"minimum": 0, "exclusiveMinimum": True}),
        (float, described(gt=0, lt=5), {"maximum": 5, "exclusiveMaximum": True}),
        (float, described(ge=0, le=5), {"minimum": 0, "maximum": 5}),
        (Literal["on"], None, {"type": "string", "enum": ["on"]}),
        (Colour, None, {"type": "string", "enum": ["red", "blue"]}),
        (Colour, described(default=Colour.BLUE), {"default": "blue"}),
        (bool, described(default=False), {"type": "boolean", "default": False}),
        (int, described(default=0), {"default": 0}),
        (dict[str, Short], described(max_length=3, min_length=1), {"minProperties": 1}),
        (
            int | str,
            described(json_schema_extra={"x-kubernetes-int-or-string": True, "maxLength": 4}),
            {"x-kubernetes-int-or-string": True, "maxLength": 4},
        ),
        (
            dict[str, Any] | None,
            described(
                default=None, json_schema_extra={"x-kubernetes-preserve-unknown-fields": True}
            ),
            {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        ),
        (
            list[dict[str, Any]] | None,
            described(
                default=None,
                max_length=2,
                json_schema_extra={"x-kubernetes-preserve-unknown-fields": True},
            ),
            {"items": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
        ),
        (
            dict[Annotated[str, Field(pattern=r"^\w+$", max_length=9)], Short],
            described(max_length=3),
            {
                "x-kubernetes-validations": [
                    {
                        "rule": r"self.all(k, k.matches(r'^\w+$') && k.size() <= 9)",
                        "message": r"each name must match ^\w+$ and have at most 9 characters",
                    }
                ]
            },
        ),
    ],
)
def test_converts(annotation: Any, field: Any, expected: Object) -> None:
    schema = convert(annotation, field)
    assert schema.items() >= expected.items()
    assert not schema.keys() & {"title", "additionalProperties", "anyOf", "$ref"} - (
        {"additionalProperties"} if "maxProperties" in schema else set()
    )


@pytest.mark.parametrize(
    ("annotation", "field"),
    [
        (Short | None, described(default=None)),
        (list[Short], described(default=[], max_length=3)),
        (dict[str, Short], described(default={}, max_length=3)),
    ],
)
def test_a_default_that_says_nothing_is_left_out(annotation: Any, field: Any) -> None:
    assert "default" not in convert(annotation, field)


def test_the_fields_own_description_wins_and_rules_of_both_hold() -> None:
    own = rules(Rule("true", "of the field"))
    schema = convert(Inner, Field(description="Of the field.", json_schema_extra=own))
    assert schema["description"] == "Of the field."
    messages = [rule["message"] for rule in schema["x-kubernetes-validations"]]
    assert messages == ["of the type", "of the field"]


@pytest.mark.parametrize(
    ("default", "stored"),
    [(Inner(), {}), (Inner(size=5), {"size": 5}), (Inner(label="a"), {"label": "a"})],
)
def test_a_models_default_leaves_to_its_fields_what_they_fill_in(
    default: Inner, stored: Object
) -> None:
    assert convert(Inner, described(default=default))["default"] == stored


def test_a_models_default_may_not_lack_what_its_fields_fill_in() -> None:
    class Loose(Model):
        """Loose."""

        size: int | None = 3
        """Size."""

    with pytest.raises(NotStructuralError, match="the API server would make"):
        convert(Loose, described(default=Loose(size=None)))


def test_status_has_no_defaults() -> None:
    schema = structural_schema(Inner, "Kind.status", defaults=False)
    assert "default" not in schema["properties"]["size"]


@given(
    size=st.none() | st.integers(min_value=0, max_value=9),
    label=st.none() | st.text(min_size=1, max_size=8),
)
def test_the_api_server_arrives_at_the_models_default(size: int | None, label: str | None) -> None:
    given = {key: v for key, v in (("size", size), ("label", label)) if v is not None}
    default = Inner.model_validate(given)
    holder = create_model("Holder", __base__=Model, x=(Inner, described(default=default)))
    stored = with_defaults({}, structural_schema(holder, "Kind.spec"))
    assert holder.model_validate(stored) == holder()


def test_plain_text_has_a_line_per_paragraph_and_single_backticks() -> None:
    assert plain_text("One ``a``\n  and\nmore.\n\nTwo.\n") == "One `a` and more.\nTwo."
