"""Template syntax; tests/golden compares the verdicts with Prometheus' own, at random."""

import pytest

from firewatch.build.template_lexer import TemplateError
from firewatch.build.templates import check_template

GOOD = [
    "plain text, even with }} and { {",
    "{{ $labels.instance }} is at {{ $value | humanize }}",
    '{{ with query "up" }}{{ . | first | value | humanizePercentage }}{{ else }}none{{ end }}',
    '{{ range $i, $e := query "up" }}{{ $i }}{{ break }}{{ end }}',
    "{{- /* a comment */ -}} text",
    "{{ if gt $value 0.5 }}a{{ else if eq $value 0.0 }}b{{ else }}c{{ end }}",
    '{{ define "x" }}{{ .Labels }}{{ end }}{{ template "x" . }}',
    '{{ printf "%.1f %s" $value `raw "text"` }}',
    "{{ (index .Labels `a`).b }}",
    "{{ $x := 1 }}{{ $x }}",
]
BAD = {
    "{{ $value": "unclosed action",
    "{{ $value | nosuch }}": 'function "nosuch" not defined',
    "{{ $nosuch }}": 'undefined variable "$nosuch"',
    "{{ if $value }}x": "an {{end}} is missing",
    "{{ end }}": "unexpected {{end}}",
    "{{ }}": "missing value for command",
    '{{ "a" | "b" }}': "non executable command in pipeline stage 2",
    '{{ "\\q" }}': "malformed string",
    "{{ 'ab' }}": "malformed character",
    "{{ 0x }}": "malformed number",
    "{{ break }}": "outside {{range}}",
    "{{ range $x, 1 := . }}{{ end }}": "range can only initialize variables",
    "{{ (1 }}": "unclosed left parenthesis",
    "{{ 1) }}": "unexpected right parenthesis",
    "{{/* x }}": "unclosed comment",
    '{{ define "x" }}{{ $labels }}{{ end }}': 'undefined variable "$labels"',
    '{{ define "x" }}a{{ end }}{{ define "x" }}b{{ end }}': "multiple definition",
    '{{ define "__alert_A" }}a{{ end }}': "multiple definition",
    "{{ $labels.x-y }}": "bad character '-'",
    "{{ $x = § }}": "unrecognized character",
    "{{if 1}}" * 500 + "{{end}}" * 500: "nested too deeply",
}


@pytest.mark.parametrize("text", GOOD)
def test_good_templates_pass(text: str) -> None:
    check_template(text, alert="A")


@pytest.mark.parametrize(("text", "why"), BAD.items(), ids=lambda value: value[:30])
def test_bad_templates_are_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(TemplateError) as caught:
        check_template(text, alert="A")
    assert why in str(caught.value)
