"""Ways in which a log is damaged: by a crash, by an editor, by a program with a defect, by somebody who means harm."""

import json
from collections.abc import Callable
from random import Random
from typing import Any

ODD: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        0,
        -1,
        1.5,
        1e308,
        2**63,
        2**64,
        -(2**63),
        10**30,
        10**400,
        [],
        {},
        "",
        " ",
        [[]],
        [None],
        [{}],
    ),
    *(
        "0",
        "-1",
        "9" * 5000,
        "NaN",
        "Infinity",
        "\ud800",
        "\udfff x",
        "a\0b",
        "\u2028",
        "é" * 50,
        "/etc/passwd",
        "../x",
    ),
    *("9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-02-30", "12:00", "-5"),
    *('{"a": [', '[{"role"', '{"a": 1}', "[1, 2]", "data: {", "'a'", "{'a': 1e999}", "```", "<function=x>", "#### x  "),
    *({"type": "text"}, {"type": 3}, {"role": "user"}, {"id": {}}, {"text": None}, {"content": [[]]}, {"": ""}),
)
"""Values that stand where something else belongs."""
TOKENS = (
    b"\xff",
    b"\xc3",
    b"\0",
    b"\n",
    b"\r",
    b'"',
    b"\\",
    b"\\ud800",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"NaN",
    b"1e999",
    b"-",
)


def damaged(raw: bytes, random: Random) -> bytes:
    """The log, damaged once to four times."""
    for _ in range(random.choice((1, 1, 2, 4))):
        raw = random.choice(WAYS)(raw, random)
    return raw


def cut(raw: bytes, random: Random) -> bytes:
    return raw[: random.randint(0, len(raw))]


def flipped(raw: bytes, random: Random) -> bytes:
    changed = bytearray(raw)
    for _ in range(min(len(changed), random.choice((1, 1, 3, 20)))):
        changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
    return bytes(changed)


def with_bytes(raw: bytes, random: Random) -> bytes:
    at = random.randint(0, len(raw))
    return raw[:at] + random.choice(TOKENS) + raw[at + random.choice((0, 0, 1, 30)) :]


def with_lines_moved(raw: bytes, random: Random) -> bytes:
    lines = raw.splitlines(keepends=True)
    for _ in range(random.randint(1, 3)):
        if lines:
            line = lines[random.randrange(len(lines))]
            if random.random() < 0.5:
                lines.remove(line)
            if random.random() < 0.7:
                lines.insert(random.randint(0, len(lines)), line)
    return b"".join(lines)


def reordered(raw: bytes, random: Random) -> bytes:
    lines = raw.splitlines(keepends=True)
    random.shuffle(lines)
    return b"".join(lines)


def repeated(raw: bytes, random: Random) -> bytes:
    return raw + random.choice((b"", b"\n")) + raw[: random.choice((len(raw), random.randint(0, len(raw))))]


def recoded(raw: bytes, random: Random) -> bytes:
    text = raw.decode(errors="replace")
    codec = random.choice(("utf-16", "utf-16-le", "utf-8-sig", "latin-1", "utf-32", "utf-7", "cp037"))
    return text.encode(codec, "replace")


def with_odd_value(raw: bytes, random: Random) -> bytes:
    """One value somewhere in the log's JSON replaced, missing, twice, or wrapped."""
    prefix, lines = _records(raw)
    if not lines:
        return with_bytes(raw, random)
    at = random.randrange(len(lines))
    try:
        record = json.loads(lines[at])
    except (ValueError, RecursionError):
        return with_bytes(raw, random)
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        record = _spoiled(record, random)
    lines[at] = json.dumps(record).encode()
    return prefix + b"\n".join(lines)


def _records(raw: bytes) -> tuple[bytes, list[bytes]]:
    """The JSON of a log: each line, or all of it behind what is none."""
    start = min((at for at in (raw.find(b"{"), raw.find(b"[")) if at != -1), default=-1)
    if start == -1:
        return raw, []
    prefix, body = raw[:start], raw[start:]
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return prefix, body.splitlines()
    return prefix, [body]


def _spoiled(value: Any, random: Random) -> Any:
    if isinstance(value, str) and value[:1] in ("{", "[") and random.random() < 0.5:
        try:
            return json.dumps(_spoiled(json.loads(value), random))
        except (ValueError, RecursionError):
            pass
    if not isinstance(value, dict | list) or not value or random.random() < 0.1:
        return random.choice((random.choice(ODD), [value], {"content": value}, str(value)))
    value = dict(value) if isinstance(value, dict) else list(value)
    keys: list[Any] = list(value) if isinstance(value, dict) else list(range(len(value)))
    key, other = random.choice(keys), random.choice(keys)
    way = random.random()
    if way < 0.12:
        del value[key]
    elif way < 0.24:
        value[key] = value[other]
    elif way < 0.3 and isinstance(value, list):
        value.insert(other, value[key])
    elif way < 0.36 and isinstance(value, dict):
        value[random.choice(("id", "type", "role", "content", "x", ""))] = value.pop(key)
    else:
        value[key] = _spoiled(value[key], random)
    return value


WAYS: tuple[Callable[[bytes, Random], bytes], ...] = (
    *(cut, flipped, with_bytes, with_lines_moved, reordered, repeated, recoded),
    *(with_odd_value,) * 7,
)
