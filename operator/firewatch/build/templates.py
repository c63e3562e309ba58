"""Syntax of Go templates, as far as Prometheus checks it when it loads a rule.

One template that does not parse makes Prometheus refuse all rules of all files, and its API offers
no way to ask beforehand. This follows text/template/parse/parse.go of Go's standard library.
"""

import re
from dataclasses import dataclass

from firewatch.build.template_lexer import TemplateError, Token, tokens

_GO_FUNCTIONS = (
    "and call html index slice js len not or print printf println urlquery eq ge gt le lt ne"
)
_PROMETHEUS_FUNCTIONS = (
    "query first label value strvalue args reReplaceAll safeHtml match title toUpper toLower"
    " graphLink tableLink sortByLabel stripPort stripDomain humanize humanize1024 humanizeDuration"
    " humanizePercentage humanizeTimestamp toTime toDuration now pathPrefix externalURL"
    " parseDuration urlQueryEscape"
)
_ALERTMANAGER_FUNCTIONS = (
    "toUpper toLower title trimSpace join match safeHtml safeUrl urlUnescape reReplaceAll"
    " stringSlice routeLabels date tz now since humanizeDuration toDate mustToDate toJson"
    " base64encode base64decode list append dict"
)


@dataclass(frozen=True)
class Dialect:
    """What a program adds to Go's templates."""

    functions: frozenset[str]
    variables: tuple[str, ...]


PROMETHEUS = Dialect(
    frozenset(f"{_GO_FUNCTIONS} {_PROMETHEUS_FUNCTIONS}".split()),
    ("$", "$labels", "$externalLabels", "$externalURL", "$value"),
)
ALERTMANAGER = Dialect(frozenset(f"{_GO_FUNCTIONS} {_ALERTMANAGER_FUNCTIONS}".split()), ("$",))
_LITERALS = frozenset(("bool", "character", "complex", "number", ".", "nil", "raw", "string"))
_OPERANDS = _LITERALS | {"field", "name", "variable", "("}
_CONTROLS = frozenset(("if", "range", "with"))

_ESCAPE = (
    r"\\([abfnrtv\\%s]|[0-3][0-7]{2}|x[0-9a-fA-F]{2}|u(?![dD][89a-fA-F])[0-9a-fA-F]{4}"
    r"|U000(?!0[dD][89a-fA-F])[0-9a-fA-F]{5}|U0010[0-9a-fA-F]{4})"
)
_GOOD_STRING = re.compile(rf'"([^"\\\n]|{_ESCAPE % chr(34)})*"')
_GOOD_CHARACTER = re.compile(rf"'([^'\\\n]|{_ESCAPE % chr(39)})'")
_INTEGER = re.compile(r"[+-]?(0[xX]_?[0-9a-fA-F]+|0[oO]?_?[0-7]+|0[bB]_?[01]+|0|[1-9][0-9]*)")
_FLOAT = re.compile(
    r"[+-]?([0-9]+\.?[0-9]*([eE][+-]?[0-9]+)?|\.[0-9]+([eE][+-]?[0-9]+)?"
    r"|0[xX](_?[0-9a-fA-F]+\.?[0-9a-fA-F]*|\.[0-9a-fA-F]+)[pP][+-]?[0-9]+)"
)
_INTEGERS = range(-(2**63), 2**64)


_PIPES = "humanize|humanize1024|humanizeDuration|humanizePercentage|humanizeTimestamp"
_COMMON = re.compile(
    rf"([^{{]|{{(?!{{)|{{{{ \$(value|labels\.[a-zA-Z_][a-zA-Z0-9_]*)( \| ({_PIPES}))? }}}})*"
)
"""Most templates of rules; they are right, and need no parser to say so."""


def check_template(text: str, *, alert: str = "", dialect: Dialect = PROMETHEUS) -> None:
    """Raise ``TemplateError`` if the template does not parse, in Prometheus in a rule of this alert."""
    if "{{" not in text or (dialect is PROMETHEUS and _COMMON.fullmatch(text)):
        return
    try:
        _Parser(list(tokens(text)), f"__alert_{alert}", dialect).parse()
    except RecursionError:
        raise TemplateError("nested too deeply") from None


def calls_function(text: str, name: str) -> bool:
    """Tell whether a template that is right uses a function of this name."""
    return name in text and any(word == Token("name", name) for word in tokens(text))


class _Parser:
    """Recursive descent over the words; it builds nothing, since only the verdict counts."""

    def __init__(self, words: list[Token], name: str, dialect: Dialect) -> None:
        self._words = words
        self._position = 0
        self._functions = dialect.functions
        self._variables = [*dialect.variables]
        self._ranges = 0
        self._defined = {name}

    def parse(self) -> None:
        """Parse the whole template: texts, actions and definitions, up to the end."""
        while self._peek().kind != "EOF":
            if self._peek().kind == "{{" and self._after_delimiter().kind == "define":
                self._definition()
            elif (end := self._text_or_action()) in {"end", "else"}:
                raise TemplateError(f"unexpected {{{{{end}}}}}")

    # Words ---------------------------------------------------------------------------------------

    def _peek(self) -> Token:
        return self._words[self._position]

    def _take(self) -> Token:
        word = self._words[self._position]
        self._position = min(self._position + 1, len(self._words) - 1)
        return word

    def _skip_space(self) -> Token:
        if self._peek().kind == "space":
            self._position += 1
        return self._peek()

    def _take_after_space(self) -> Token:
        self._skip_space()
        return self._take()

    def _after_delimiter(self) -> Token:
        offset = 1 + (self._words[self._position + 1].kind == "space")
        return self._words[self._position + offset]

    def _expect(self, kind: str, context: str) -> None:
        word = self._take_after_space()
        if word.kind != kind:
            raise _unexpected(word, context)

    # Structure -----------------------------------------------------------------------------------

    def _text_or_action(self) -> str:
        """Parse one piece and return what it was: text, action, a control word, end or else."""
        word = self._take()
        if word.kind == "text":
            return "text" if word.text.strip() else "blank"
        if word.kind != "{{":
            raise _unexpected(word, "input")
        return self._action()

    def _action(self) -> str:
        kind = self._skip_space().kind
        if kind in _CONTROLS:
            self._take()
            self._control(kind)
        elif kind in {"break", "continue"}:
            self._take()
            self._jump(kind)
        elif kind == "end":
            self._take()
            self._expect("}}", "end")
        elif kind == "else":
            self._take()
            if self._skip_space().kind not in {"if", "with"}:
                self._expect("}}", "else")
        elif kind == "block":
            self._take()
            self._block()
        elif kind == "template":
            self._take()
            self._template()
        else:
            self._pipeline("command", "}}")
            return "action"
        return kind

    def _items(self) -> tuple[bool, str]:
        """Parse up to end or else; return whether anything but blanks was there, and which."""
        filled = False
        while self._peek().kind != "EOF":
            kind = self._text_or_action()
            if kind in {"end", "else"}:
                return filled, kind
            filled = filled or kind != "blank"
        raise TemplateError("unexpected end of text: an {{end}} is missing")

    def _control(self, context: str) -> None:
        known = len(self._variables)
        self._pipeline(context, "}}")
        self._ranges += context == "range"
        _, end = self._items()
        self._ranges -= context == "range"
        if end == "else" and context in {"if", "with"} and self._peek().kind == context:
            self._take()
            self._control(context)
        elif end == "else":
            _, end = self._items()
            if end != "end":
                raise TemplateError("expected {{end}}, found {{else}}")
        del self._variables[known:]

    def _jump(self, kind: str) -> None:
        self._expect("}}", kind)
        if not self._ranges:
            raise TemplateError(f"{{{{{kind}}}}} outside {{{{range}}}}")

    def _definition(self) -> None:
        self._take()
        self._skip_space()
        self._take()
        name = self._name("define clause")
        self._expect("}}", "define clause")
        self._named_body(name, "define clause")

    def _block(self) -> None:
        name = self._name("block clause")
        self._pipeline("block clause", "}}")
        self._named_body(name, "block clause")

    def _named_body(self, name: str, context: str) -> None:
        """Parse the body of a template of its own: it sees no variables but ``$``."""
        outer = self._variables, self._ranges
        self._variables, self._ranges = ["$"], 0
        filled, end = self._items()
        self._variables, self._ranges = outer
        if end != "end":
            raise TemplateError(f"unexpected {{{{{end}}}}} in {context}")
        if filled and name in self._defined:
            raise TemplateError(f"multiple definition of template {name}")
        if filled:
            self._defined.add(name)

    def _template(self) -> None:
        self._name("template clause")
        if self._skip_space().kind == "}}":
            self._take()
        else:
            self._pipeline("template clause", "}}")

    def _name(self, context: str) -> str:
        word = self._take_after_space()
        if word.kind not in {"string", "raw"}:
            raise _unexpected(word, context)
        _check_literal(word)
        return word.text[1:-1]

    # Expressions ---------------------------------------------------------------------------------

    def _pipeline(self, context: str, end: str) -> None:
        self._declarations(context)
        stage = 0
        while True:
            kind = self._skip_space().kind
            if kind == end:
                self._take()
                break
            if kind not in _OPERANDS:
                raise _unexpected(self._peek(), context)
            if stage and kind in _LITERALS:
                raise TemplateError(f"non executable command in pipeline stage {stage + 1}")
            self._command()
            stage += 1
        if not stage:
            raise TemplateError(f"missing value for {context}")

    def _declarations(self, context: str) -> None:
        count = 0
        while self._skip_space().kind == "variable":
            start = self._position
            variable = self._take()
            after = self._skip_space()
            comma = after.kind == "sign" and after.text == ","
            if after.kind not in {"=", ":="} and not comma:
                self._position = start
                return
            self._take()
            self._variables.append(variable.text)
            count += 1
            if not comma:
                return
            if context != "range" or count > 1:
                raise TemplateError(f"too many declarations in {context}")
            if self._skip_space().kind not in {"variable", "}}", ")"}:
                raise TemplateError("range can only initialize variables")

    def _command(self) -> None:
        while True:
            self._skip_space()
            self._operand()
            word = self._peek()
            if word.kind in {"}}", ")"}:
                return
            self._take()
            if word.kind == "|":
                return
            if word.kind != "space":
                raise _unexpected(word, "operand")

    def _operand(self) -> None:
        word = self._peek()
        if word.kind not in _OPERANDS:
            return
        self._take()
        if word.kind == "name" and word.text not in self._functions:
            raise TemplateError(f'function "{word.text}" not defined')
        if word.kind == "variable" and word.text not in self._variables:
            raise TemplateError(f'undefined variable "{word.text}"')
        if word.kind == "(":
            self._pipeline("parenthesized pipeline", ")")
        elif word.kind in _LITERALS:
            _check_literal(word)
            if self._peek().kind == "field":
                raise TemplateError(f"unexpected . after term {word.text}")
        while self._peek().kind == "field":
            self._take()


def _unexpected(word: Token, context: str) -> TemplateError:
    return TemplateError(f"unexpected {word.text!r} in {context}")


def _check_literal(word: Token) -> None:
    good = (
        (word.kind != "string" or _GOOD_STRING.fullmatch(word.text))
        and (word.kind != "character" or _GOOD_CHARACTER.fullmatch(word.text))
        and (word.kind != "number" or _is_number(word.text))
    )
    if not good:
        raise TemplateError(f"malformed {word.kind} {word.text}")


def _is_number(text: str) -> bool:
    """Tell whether Go reads the text as an integer that fits 64 bits, or as a finite float."""
    plain = re.sub(r"(?<=[0-9a-fA-F])_(?=[0-9a-fA-F])", "", text)
    if plain.endswith("i"):
        return bool(_FLOAT.fullmatch(plain[:-1]))
    if _INTEGER.fullmatch(plain):
        octal = re.fullmatch(r"([+-]?)0_?([0-7]+)", plain)
        return (int(f"{octal[1]}0o{octal[2]}", 0) if octal else int(plain, 0)) in _INTEGERS
    if not _FLOAT.fullmatch(plain) or not set(plain) & set(".eEpP"):
        return False
    value = float.fromhex(plain) if "x" in plain.lower() else float(plain)
    return abs(value) != float("inf")
