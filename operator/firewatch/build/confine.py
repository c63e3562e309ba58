"""Expressions of policies from other namespaces, confined to the series of their namespace.

Every selector is given the matcher ``namespace="…"`` by editing the text: a printer of syntax trees
would change what it prints. Where to edit is found by the shape of the words alone, so it is no
proof of anything. The proof is the server's: the tree of the edited text must be the tree of the
old one plus exactly that matcher in every selector, else the rule is refused.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from firewatch.api.alerts import PrometheusRule
from firewatch.build.promql_words import PAIRS, Word, words
from firewatch.build.rules import Group

NAMESPACE_LABEL = "namespace"

_SET_OPERATORS = frozenset(("and", "or", "unless", "atan2"))
_GROUPING = frozenset(("by", "without"))
_NUMBERS = frozenset(("inf", "nan"))
# Between an operator and its right side.
_MATCHING = frozenset(
    ("on", "ignoring", "group_left", "group_right", "fill", "fill_left", "fill_right")
)
_AFTER_OPERATOR = _MATCHING | {"bool"}
_LISTS = _MATCHING | _GROUPING
_NODES = frozenset(
    (
        *("aggregation", "binaryExpr", "call", "matrixSelector", "numberLiteral", "parenExpr"),
        *("stringLiteral", "subquery", "unaryExpr", "vectorSelector"),
    )
)
_SELECTORS = frozenset(("matrixSelector", "vectorSelector"))
# Reads series that no selector of the expression names.
_UNCONFINABLE = frozenset(("info",))


class NotConfinedError(ValueError):
    """The server's trees do not show that an expression is confined; ``str()`` says why."""


def confine(expression: str, namespace: str) -> str:
    """Return the expression with the namespace's matcher in every selector that is recognised."""
    editor = _Editor(list(words(expression)), f'{NAMESPACE_LABEL}="{namespace}"')
    text = expression
    for position, addition in reversed(editor.edits()):
        text = text[:position] + addition + text[position:]
    return text


def confine_groups(groups: Iterable[Group], namespace: str) -> tuple[Group, ...]:
    """Return the groups with every rule confined, and the label of the namespace forced on it."""
    return tuple(
        replace(group, rules=tuple(_confined_rule(rule, namespace) for rule in group.rules))
        for group in groups
    )


def _confined_rule(rule: PrometheusRule, namespace: str) -> PrometheusRule:
    labels = {name: text for name, text in rule.labels.items() if name != NAMESPACE_LABEL}
    update = {
        "expr": confine(rule.expr, namespace),
        "labels": {**labels, NAMESPACE_LABEL: namespace},
    }
    return rule.model_copy(update=update)


def prove_confined(before: Any, after: Any, namespace: str) -> None:
    """Compare the server's trees of an expression and of its confined form.

    ``NotConfinedError`` unless the second is the first plus the namespace's matcher in every
    selector.
    """
    try:
        if _form(before, added=namespace) != _form(after, added=None):
            raise NotConfinedError(
                f'the matcher {NAMESPACE_LABEL}="{namespace}" could not be put into every selector;'
                " write each selector as name{…} or {…}"
            )
    except RecursionError:
        raise NotConfinedError("the expression is nested too deeply") from None


@dataclass
class _Editor:
    """One pass over the words, knowing only whether an operand or an operator comes next."""

    tokens: Sequence[Word]
    matcher: str
    _at: int = 0
    _operand: bool = True
    _edits: list[tuple[int, str]] = field(default_factory=list)

    def edits(self) -> list[tuple[int, str]]:
        """Return what is put in, and where, in the order of the text."""
        while self._at < len(self.tokens):
            token = self.tokens[self._at]
            if token.kind == "word":
                self._word(token)
            elif token.text == "{":
                self._braces()
            elif token.text == "[":
                self._skip_pair()
                self._operand = False
            else:
                self._at += 1
                self._operand = token.kind == "sign" and token.text != ")"
        return self._edits

    def _word(self, token: Word) -> None:
        word, following = token.text.lower(), self._text(self._at + 1)
        self._at += 1
        if not self._operand or word in _AFTER_OPERATOR:
            if following == "(" and word in _LISTS:
                self._skip_pair()
            self._operand |= word in _SET_OPERATORS or word == "offset"
        elif following.lower() in _GROUPING:
            self._at += 1
            if self._text(self._at) == "(":
                self._skip_pair()
        elif following not in {"(", "{"}:
            if word not in _NUMBERS:
                self._edits.append((token.end, f"{{{self.matcher}}}"))
            self._operand = False

    def _braces(self) -> None:
        self._skip_pair()
        last = self.tokens[self._at - 2]
        comma = "" if last.text in {"{", ","} and last.kind == "sign" else ","
        self._edits.append((last.end, comma + self.matcher))
        self._operand = False

    def _skip_pair(self) -> None:
        """Go on behind the bracket that closes the one here, or to the end."""
        opening = self.tokens[self._at].text
        closing, depth = PAIRS[opening], 0
        while self._at < len(self.tokens):
            text = self._text(self._at)
            self._at += 1
            depth += (text == opening) - (text == closing)
            if not depth:
                return

    def _text(self, position: int) -> str:
        return self.tokens[position].text if position < len(self.tokens) else ""


def _form(node: Any, *, added: str | None) -> Any:
    """Return a tree in a form to be compared, with the matcher added to every selector."""
    if isinstance(node, list):
        return [_form(each, added=added) for each in node]
    if not isinstance(node, Mapping):
        return node
    kind = node.get("type")
    if kind is not None and kind not in _NODES:
        raise NotConfinedError(f"the server's tree holds a {kind}, which is not known here")
    if kind == "call" and node["func"]["name"] in _UNCONFINABLE:
        raise NotConfinedError(
            f"{node['func']['name']}() reads series of any namespace; do without it"
        )
    form = {key: _form(each, added=added) for key, each in node.items() if key != "matchers"}
    if kind in _SELECTORS:
        form["matchers"] = _matchers(node["matchers"], added)
    elif "matchers" in node:
        raise NotConfinedError("the server's tree has matchers in an unknown place")
    return form


def _matchers(matchers: Sequence[Any], added: str | None) -> list[str]:
    found = [*matchers]
    if added is not None:
        found.append({"name": NAMESPACE_LABEL, "type": "=", "value": added})
    return sorted(json.dumps(each, sort_keys=True) for each in found)
