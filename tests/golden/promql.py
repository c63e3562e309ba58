"""Generated PromQL: expressions of every form, written in every way that the grammar allows."""

from hypothesis import strategies as st

_BLANKS = st.sampled_from(["", "", "", " ", "  ", "\n", "\t", ' # a } comment ` " {\n'])
_SPACES = st.sampled_from([" ", " ", "\n", " # comment ' (\n"])
_METRICS = st.sampled_from(
    [
        *("up", "a:b:c", ":x", "_y", "http_requests_total", "ONE", "namespace", "info", "offset_x"),
        *("sum", "bool", "start", "step", "and_x", "infinite", "nano", "e1", "x5m"),
    ]
)
_LABELS = st.sampled_from(["job", "namespace", "le", "on", "by", "offset", "sum", "_z"])
_OPERATORS = st.sampled_from(["=", "!=", "=~", "!~"])
_TEXTS = st.sampled_from(["", "x", "shop", "a} b", "{", ",", "#", "(", "}}", "é", "\\\\d+", "a|b"])
_DURATIONS = st.sampled_from(["5m", "1h30m", "300", "1d", "15s"])


@st.composite
def _string(draw: st.DrawFn) -> str:
    text, quote = draw(_TEXTS), draw(st.sampled_from("\"'`"))
    if quote != "`":
        text += draw(st.sampled_from(["", "\\" + quote, "\\n", "\\\\"]))
    else:
        text += draw(st.sampled_from(["", "\"'", "\\"]))
    return f"{quote}{text}{quote}"


@st.composite
def _matcher(draw: st.DrawFn) -> str:
    name = draw(st.one_of(_LABELS, st.just('"a.b"'), st.just("'quoted'")))
    operator, value = draw(_OPERATORS), draw(_string())
    if operator in {"=~", "!~"}:
        value = draw(st.sampled_from(['".+"', "'a|b'", "`[}]{2}`", '"x.*"']))
    blank = draw(_BLANKS)
    return f"{blank}{name}{draw(_BLANKS)}{operator}{draw(_BLANKS)}{value}{draw(_BLANKS)}"


@st.composite
def selectors(draw: st.DrawFn) -> str:
    """A selector of instant vectors."""
    matchers = draw(st.lists(_matcher(), max_size=3))
    ending = draw(st.sampled_from(["", ",", " , "])) if matchers else ""
    form = draw(st.sampled_from(["plain", "braces", "quoted", "pattern"]))
    if form == "plain" and not matchers:
        return draw(_METRICS)
    if form in {"plain", "braces"}:
        return f"{draw(_METRICS)}{draw(_BLANKS)}{{{','.join(matchers)}{ending}}}"
    first = draw(_BLANKS) + ('"http.requests"' if form == "quoted" else '__name__=~"a.+"')
    return f"{{{','.join([first, *matchers])}{ending}}}"


@st.composite
def _modified(draw: st.DrawFn, text: str) -> str:
    for modifier in draw(st.permutations(["offset", "@"])):
        if draw(st.integers(0, 3)):
            continue
        at = draw(st.sampled_from(["start()", "end( )", "1700000000", "1.5e9"]))
        sign = draw(st.sampled_from(["", "-"]))
        value = at if modifier == "@" else f"{sign}{draw(_DURATIONS)}"
        text += f"{draw(_SPACES)}{draw(st.sampled_from([modifier, modifier.upper()]))} {value}"
    return text


@st.composite
def _range_function(draw: st.DrawFn) -> str:
    inner = draw(selectors()) + f"[{draw(_DURATIONS)}]"
    name = draw(st.sampled_from(["rate", "sum_over_time", "absent_over_time", "last_over_time"]))
    return f"{name}{draw(_BLANKS)}({draw(_BLANKS)}{draw(_modified(inner))}{draw(_BLANKS)})"


@st.composite
def _labels(draw: st.DrawFn) -> str:
    return f"({draw(_BLANKS)}{', '.join(draw(st.lists(_LABELS, max_size=3, unique=True)))})"


def _combined(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        _aggregation(inner), _binary(inner), _subquery(inner), _function(inner), _wrapped(inner)
    )


@st.composite
def _aggregation(draw: st.DrawFn, inner: st.SearchStrategy[str]) -> str:
    name = draw(st.sampled_from(["sum", "MAX", "topk", "count_values", "Quantile", "group"]))
    parameter = {"topk": "5, ", "count_values": '"v", ', "Quantile": "0.9 ,"}.get(name, "")
    body = f"({parameter}{draw(_BLANKS)}{draw(inner)})"
    grouping = f"{draw(st.sampled_from(['by', 'WITHOUT']))}{draw(_BLANKS)}{draw(_labels())}"
    form = draw(st.sampled_from(["none", "before", "after"]))
    if form == "before":
        return f"{name} {grouping}{draw(_BLANKS)}{body}"
    return f"{name}{body} {grouping}" if form == "after" else f"{name}{draw(_BLANKS)}{body}"


@st.composite
def _binary(draw: st.DrawFn, inner: st.SearchStrategy[str]) -> str:
    left, right, space = draw(inner), draw(inner), draw(_SPACES)
    operator = draw(st.sampled_from(["+", "/", "and", "OR", "unless", "== bool", "<", "atan2"]))
    arithmetic = operator in {"+", "/", "atan2"}
    matching = ""
    if draw(st.booleans()):
        matching = f"{draw(st.sampled_from(['on', 'IGNORING']))}{draw(_labels())}"
        if arithmetic and draw(st.booleans()):
            matching += f" {draw(st.sampled_from(['group_left', 'group_right(x, y)']))} "
    return f"({left}){space}{operator} {matching}{draw(_BLANKS)}({right})"


@st.composite
def _subquery(draw: st.DrawFn, inner: st.SearchStrategy[str]) -> str:
    step = draw(st.sampled_from(["", "1m", "30"]))
    query = f"({draw(inner)})[{draw(_DURATIONS)}:{step}]"
    return f"max_over_time({draw(_modified(query))})"


@st.composite
def _function(draw: st.DrawFn, inner: st.SearchStrategy[str]) -> str:
    text = draw(inner)
    return draw(
        st.sampled_from(
            [
                f"abs({text})",
                f"clamp({text}, -Inf, +nan)",
                f'label_replace({text}, "a", `$1`, "namespace", "(.*)")',
                f"histogram_quantile(scalar({text}), {text})",
                f"vector(time()) + {text}",
                f"({text}) * 1e-5 > 0x1F",
            ]
        )
    )


@st.composite
def _wrapped(draw: st.DrawFn, inner: st.SearchStrategy[str]) -> str:
    blank = draw(_BLANKS)
    return draw(st.sampled_from(["({})", "-{}", "+ {}", "(( {} ))"])).format(blank + draw(inner))


def expressions() -> st.SearchStrategy[str]:
    """Expressions that evaluate to an instant vector; Prometheus refuses a few all the same."""
    leaves = st.one_of(selectors(), selectors().flatmap(_modified), _range_function())
    return st.recursive(leaves, _combined, max_leaves=6)
