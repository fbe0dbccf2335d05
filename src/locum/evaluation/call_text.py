"""Where the parts of a tool call stand in its JSON, as chat templates write it (Hermes style)."""

import json
import re
from collections.abc import Iterator
from typing import Any, Literal

import msgspec

from locum.training.chat_template import CALL_OPENING

PartKind = Literal["template", "json_syntax", "tool_name", "argument_key", "argument"]
_CLOSING = re.compile(r"\s*</tool_call>")
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|-?[0-9][0-9.eE+-]*|true|false|null|[{}\[\]:,]|\s+|.', re.DOTALL)
_JSON = json.JSONDecoder()


class Part(msgspec.Struct, frozen=True):
    """A part of a call; of strings, what stands between the quotes."""

    kind: PartKind
    start: int
    end: int
    value: Any = None
    """Of an argument: what it says, decoded."""
    path: tuple[str | int, ...] = ()
    """Of an argument: the keys that lead to it, below `arguments`."""
    call: int = 0
    """Which call of the response, from 0."""


def call_parts(text: str) -> list[Part]:
    """The parts of all calls in a rendered response, in order; what is no call is left out."""
    parts: list[Part] = []
    at = calls = 0
    while (start := text.find(CALL_OPENING, at)) >= 0:
        body = start + len(CALL_OPENING)
        while body < len(text) and text[body].isspace():
            body += 1
        try:
            _, end = _JSON.raw_decode(text, body)
        except (ValueError, RecursionError):
            at = start + len(CALL_OPENING)
            continue
        closing = _CLOSING.match(text, end)
        at = closing.end() if closing else end
        parts.append(Part("template", start, body))
        parts += [msgspec.structs.replace(part, call=calls) for part in _json_parts(text, body, end)]
        if closing:
            parts.append(Part("template", end, at))
        calls += 1
    return parts


def _json_parts(text: str, start: int, end: int) -> Iterator[Part]:
    # One entry a container: its place in the path ahead of it, and for an object whether a key comes next.
    keys: list[str | int] = []
    objects: list[bool] = []
    key_next = False
    for match in _TOKEN.finditer(text, start, end):
        token, (first, last) = match[0], match.span()
        if token in "{[":
            objects.append(token == "{")
            keys.append("" if token == "{" else 0)
            key_next = token == "{"
            yield Part("json_syntax", first, last)
        elif token in "}]":
            objects.pop()
            keys.pop()
            yield Part("json_syntax", first, last)
        elif token == ",":
            key_next = objects[-1]
            if not objects[-1]:
                keys[-1] = int(keys[-1]) + 1
            yield Part("json_syntax", first, last)
        elif token in ":" or token.isspace():
            yield Part("json_syntax", first, last)
        else:
            quote = token.startswith('"')
            if quote:
                yield Part("json_syntax", first, first + 1)
            inner = (first + quote, last - quote)
            if key_next and quote:
                keys[-1], key_next = json.loads(token), False
                within = len(keys) > 1 and keys[0] == "arguments"
                yield Part("argument_key" if within else "json_syntax", *inner)
            elif keys == ["name"]:
                yield Part("tool_name", *inner)
            elif keys[0] == "arguments":
                yield Part("argument", *inner, value=json.loads(token), path=tuple(keys[1:]))
            else:
                yield Part("json_syntax", *inner)
            if quote:
                yield Part("json_syntax", last - 1, last)
