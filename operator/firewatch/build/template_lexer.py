"""The words of a Go template, after text/template/parse/lex.go of Go's standard library."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

KEYWORDS = frozenset(
    (
        "block",
        "break",
        "continue",
        "define",
        "else",
        "end",
        "if",
        "nil",
        "range",
        "template",
        "with",
    )
)

_SPACES = " \t\r\n"
_SPACE = re.compile(r"[ \t\r\n]+")
_RIGHT = re.compile(r"[ \t\r\n]-\}\}[ \t\r\n]*|\}\}")
_COMMENT = re.compile(r"/\*.*?\*/([ \t\r\n]-\}\}[ \t\r\n]*|\}\})?", re.DOTALL)
_WORD = re.compile(r"\w+")
_STRING = re.compile(r'"(\\[^\n]|[^"\\\n])*"')
_CHARACTER = re.compile(r"'(\\[^\n]|[^'\\\n])*'")
_RAW = re.compile(r"`[^`]*`")
_NUMBER = re.compile(
    r"[+-]?(0[xX][0-9a-fA-F_]*(\.[0-9a-fA-F_]*)?([pP][+-]?[0-9_]*)?|0[oO][0-7_]*(\.[0-7_]*)?"
    r"|0[bB][01_]*(\.[01_]*)?|[0-9_]*(\.[0-9_]*)?([eE][+-]?[0-9_]*)?)i?"
)
_SIGNS = {"=": "=", "|": "|", "(": "(", ")": ")"}


class TemplateError(ValueError):
    """A template does not parse; ``str()`` says why."""


@dataclass(frozen=True)
class Token:
    """A word of a template; ``kind`` is a keyword, a delimiter or a class of words."""

    kind: str
    text: str


def tokens(text: str) -> Iterator[Token]:
    """Yield the words of a template, ending with ``EOF``; spaces count inside actions."""
    position = 0
    while (start := text.find("{{", position)) >= 0:
        inside = start + 2
        trims = text[inside : inside + 1] == "-" and text[inside + 1 : inside + 2] in set(_SPACES)
        before = text[position:start]
        if before := before.rstrip(_SPACES) if trims else before:
            yield Token("text", before)
        inside += 2 * trims
        if text.startswith("/*", inside):
            position = _after_comment(text, inside)
            continue
        yield Token("{{", "{{")
        position = inside
        depth = 0
        while True:
            token, position = _next(text, position)
            depth += (token.kind == "(") - (token.kind == ")")
            if depth < 0:
                raise TemplateError("unexpected right parenthesis")
            if token.kind == "}}" and depth:
                raise TemplateError("unclosed left parenthesis")
            yield token
            if token.kind == "}}":
                break
    if position < len(text):
        yield Token("text", text[position:])
    yield Token("EOF", "end of text")


def _after_comment(text: str, position: int) -> int:
    match = _COMMENT.match(text, position)
    if match is None:
        raise TemplateError("unclosed comment")
    if match[1] is None:
        raise TemplateError("a comment must end right before }}")
    return match.end()


def _next(text: str, position: int) -> tuple[Token, int]:
    """Return the word at a position inside an action, and where the next one begins."""
    if position >= len(text):
        raise TemplateError("unclosed action: {{ without }}")
    if match := _RIGHT.match(text, position):
        return Token("}}", "}}"), match.end()
    if match := _SPACE.match(text, position):
        # The last space may belong to a closing delimiter that trims.
        end = match.end() - bool(_RIGHT.match(text, match.end() - 1))
        return Token("space", " "), end
    first = text[position]
    if first in "\"'`":
        return _quoted(text, position)
    if first == ":":
        if text[position + 1 : position + 2] != "=":
            raise TemplateError("expected :=")
        return Token(":=", ":="), position + 2
    if first in _SIGNS:
        return Token(first, first), position + 1
    return _word(text, position)


def _quoted(text: str, position: int) -> tuple[Token, int]:
    kind, pattern, name = {
        '"': ("string", _STRING, "quoted string"),
        "'": ("character", _CHARACTER, "character constant"),
        "`": ("raw", _RAW, "raw quoted string"),
    }[text[position]]
    match = pattern.match(text, position)
    if match is None:
        raise TemplateError(f"unterminated {name}")
    return Token(kind, match[0]), match.end()


def _word(text: str, position: int) -> tuple[Token, int]:
    first = text[position]
    second = text[position + 1 : position + 2]
    if first in "+-0123456789" or (first == "." and second.isdigit() and second.isascii()):
        return _number(text, position)
    if first in "$.":
        kind = "variable" if first == "$" else "field"
        match = _WORD.match(text, position + 1)
        end = match.end() if match else position + 1
        if first == "." and match is None:
            kind = "."
    elif match := _WORD.match(text, position):
        end = match.end()
        kind = _kind(match[0])
    elif first.isascii() and first.isprintable():
        return Token("sign", first), position + 1
    else:
        raise TemplateError(f"unrecognized character {first!r} in action")
    _require_terminator(text, end)
    return Token(kind, text[position:end]), end


def _kind(word: str) -> str:
    if word in KEYWORDS:
        return word
    return "bool" if word in {"true", "false"} else "name"


def _require_terminator(text: str, position: int) -> None:
    rest = text[position : position + 1]
    if rest and rest not in f"{_SPACES}.,|:()" and not text.startswith("}}", position):
        raise TemplateError(f"bad character {rest!r}")


def _number(text: str, position: int) -> tuple[Token, int]:
    match = _NUMBER.match(text, position)
    assert match  # the pattern matches the empty text
    end = match.end()
    kind = "number"
    if text[end : end + 1] in {"+", "-"}:
        imaginary = _NUMBER.match(text, end)
        assert imaginary
        end = imaginary.end()
        kind = "complex"
        if text[end - 1] != "i":
            raise TemplateError(f"bad number {text[position:end]!r}")
    if _WORD.match(text, end):
        raise TemplateError(f"bad number {text[position : end + 1]!r}")
    return Token(kind, text[position:end]), end
