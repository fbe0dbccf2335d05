"""The part of Go's text/template that a Modelfile's TEMPLATE uses, written from Go's documentation.

`if`, `else if`, `else`, `range` with or without variables, `end`, variables and assignments, fields of dot, of `$` and
of variables, quoted strings, and the functions eq, ne, or, and, json. See https://pkg.go.dev/text/template
"""

import json
import re
from collections import ChainMap
from collections.abc import Callable
from typing import Any

_ACTION = re.compile(r"\{\{(?P<left>- )?\s*(?P<body>.*?)\s*(?P<right> -)?\}\}", re.DOTALL)
_SETTING = re.compile(r"(?P<name>\$\w+) (?P<declares>:?)= ")
Node = tuple[str, Any, list["Node"], list["Node"]]


def render(template: str, data: dict[str, Any], encode: Callable[[Any], str]) -> str:
    """`template` filled with `data`; `encode` is what turns values into JSON (`json`, and printing a tool)."""
    tokens = _tokens(template)
    nodes, rest = _parse(tokens, 0)
    assert rest == len(tokens), f"unexpected {tokens[rest]}"
    return _run(nodes, data, ChainMap({"$": data}), encode)


def _tokens(template: str) -> list[tuple[str, str]]:
    tokens: list[tuple[str, str]] = []
    place, trim = 0, False
    for action in _ACTION.finditer(template):
        text = template[place : action.start()]
        text = text.lstrip() if trim else text
        tokens.append(("text", text.rstrip() if action["left"] else text))
        tokens.append(("action", action["body"]))
        place, trim = action.end(), action["right"] is not None
    tokens.append(("text", template[place:].lstrip() if trim else template[place:]))
    return tokens


def _parse(tokens: list[tuple[str, str]], at: int) -> tuple[list[Node], int]:
    nodes: list[Node] = []
    while at < len(tokens):
        kind, body = tokens[at]
        word = body.split(maxsplit=1)[0] if kind == "action" else ""
        if word in ("end", "else"):
            return nodes, at
        if word in ("if", "range"):
            node, at = _block(word, body.removeprefix(word).strip(), tokens, at + 1)
            nodes.append(node)
        else:
            nodes.append((kind, body, [], []))
            at += 1
    return nodes, at


def _block(word: str, head: str, tokens: list[tuple[str, str]], at: int) -> tuple[Node, int]:
    then, at = _parse(tokens, at)
    otherwise: list[Node] = []
    body = tokens[at][1]
    if body.startswith("else"):
        condition = body.removeprefix("else").strip()
        if condition:
            node, at = _block("if", condition.removeprefix("if").strip(), tokens, at + 1)
            return (word, head, then, [node]), at
        otherwise, at = _parse(tokens, at + 1)
    assert tokens[at][1] == "end"
    return (word, head, then, otherwise), at + 1


def _run(nodes: list[Node], dot: Any, names: ChainMap[str, Any], encode: Callable[[Any], str]) -> str:
    out = ""
    for kind, body, then, otherwise in nodes:
        if kind == "text":
            out += body
        elif kind == "action" and (setting := _SETTING.match(body)):
            value = _value(body[setting.end() :], dot, names, encode)
            if setting["declares"]:
                names[setting["name"]] = value
            else:
                next(scope for scope in names.maps if setting["name"] in scope)[setting["name"]] = value
        elif kind == "action":
            value = _value(body, dot, names, encode)
            out += value if isinstance(value, str) else encode(value)
        elif kind == "if":
            out += _run(then if _value(body, dot, names, encode) else otherwise, dot, names.new_child(), encode)
        else:
            variables, _, source = body.rpartition(":=")
            bound = [name.strip() for name in variables.split(",") if name.strip()]
            items = _value(source.strip(), dot, names, encode) or []
            for index, item in enumerate(items):
                values = [index, item] if len(bound) == 2 else [item]
                out += _run(then, item, names.new_child(dict(zip(bound, values, strict=bool(bound)))), encode)
            if not items:
                out += _run(otherwise, dot, names, encode)
    return out


def _value(body: str, dot: Any, names: ChainMap[str, Any], encode: Callable[[Any], str]) -> Any:
    words = re.findall(r'"(?:[^"\\]|\\.)*"|\S+', body)
    if len(words) == 1:
        return _operand(words[0], dot, names)
    first, *rest = (words[0], *(_operand(word, dot, names) for word in words[1:]))
    if first == "json":
        return encode(rest[0])
    if first == "or":
        return next((value for value in rest if value), rest[-1])
    if first == "and":
        return next((value for value in rest if not value), rest[-1])
    return {"eq": rest[0] == rest[1], "ne": rest[0] != rest[1]}[first]


def _operand(word: str, dot: Any, names: ChainMap[str, Any]) -> Any:
    if word.startswith('"'):
        return json.loads(word)
    root, *fields = word.split(".")
    value = names[root] if root else dot
    for field in fields:
        if field:
            # A map without the key gives nothing, which is false and no error.
            value = value.get(field)
    return value
