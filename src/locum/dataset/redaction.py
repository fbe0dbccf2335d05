"""Secrets and personal data become typed placeholders, and nothing but their salted hashes is kept.

`<EMAIL_1>`, `<AWS_KEY_1>`, ...: the same value gets the same placeholder everywhere in a dataset, so that a
row still shows that the address it was asked about is the address it wrote to. What is looked for is in
`detectors`. Replaced: message texts, tool arguments at any depth, the descriptions in tool schemas, and
account names in the path of the log. Not touched: tool names, argument names, call ids.
"""

import hashlib
from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec

from locum.dataset.assignments import is_secret, secret_kind
from locum.dataset.detectors import find
from locum.types import Message, Session


class Redaction(msgspec.Struct, frozen=True, array_like=True):
    """One value that was replaced: what is known of it afterwards."""

    kind: str
    placeholder: str
    sha256: str
    """Hex SHA-256 of the salt and the value: enough to ask later whether a model says it, not to read it."""


class Redactions(msgspec.Struct, frozen=True):
    """Every value that was replaced in a dataset, in order of appearance."""

    salt: str
    values: tuple[Redaction, ...] = ()


_BARE_LENGTH = 8
"""A secret found by its context is replaced where it stands bare only if it is at least this long."""


class Redactor:
    """Replaces secrets in the sessions of one dataset; the numbers in the placeholders follow appearance."""

    def __init__(self, salt: str) -> None:
        """Args: salt: random text of this dataset alone, so that its hashes fit no other's."""
        self.counts: Counter[str] = Counter()
        """How many times a value of each type was replaced."""
        self._salt = salt
        self._placeholders: dict[str, str] = {}
        self._numbers: Counter[str] = Counter()
        self._hashes: list[Redaction] = []
        self._schemas: dict[bytes, dict[str, Any]] = {}
        self._bare: dict[str, str] = {}

    @property
    def redactions(self) -> Redactions:
        """What has been replaced so far."""
        return Redactions(salt=self._salt, values=tuple(self._hashes))

    def session(self, session: Session) -> Session:
        """The same session without secrets.

        Two passes: what the first finds by its context (`password: ...`) the second replaces wherever else in
        the session the same value stands without that context, before it or after.
        """
        self._bare = {}
        messages = tuple(_map_texts(message, self.text, self.value) for message in session.messages)
        if self._bare:
            messages = tuple(_map_texts(message, self._replace_bare, self._value_bare) for message in messages)
        return msgspec.structs.replace(
            session,
            messages=messages,
            tools=tuple(self._schema(tool) for tool in session.tools),
            source=self.text(session.source),
        )

    def text(self, text: str) -> str:
        """The text with every secret replaced. Text that UTF-8 cannot hold (half a surrogate pair) gets
        `?`."""
        if not text.isascii():
            text = text.encode("utf-8", "replace").decode("utf-8")
        findings = find(text)
        if not findings:
            return text
        parts: list[str] = []
        done = 0
        for finding in findings:
            value = text[finding.start : finding.end]
            parts += (text[done : finding.start], self._placeholder(finding.kind, value, finding.by_context))
            done = finding.end
        return "".join((*parts, text[done:]))

    def value(self, value: Any, name: str = "") -> Any:
        """A JSON value with every text in it redacted; `name` is the key that it stands under."""
        if isinstance(value, str):
            kind = secret_kind(name) if name else None
            if kind is not None and is_secret(value, kind):
                return self._placeholder(kind, value, by_context=True)
            return self.text(value)
        return _map_value(value, self.value, name)

    def _placeholder(self, kind: str, value: str, by_context: bool) -> str:
        canonical = _canonical(kind, value)
        placeholder = self._placeholders.get(canonical)
        if placeholder is None:
            self._numbers[kind] += 1
            placeholder = f"<{kind}_{self._numbers[kind]}>"
            self._placeholders[canonical] = placeholder
            digest = hashlib.sha256((self._salt + canonical).encode()).hexdigest()
            self._hashes.append(Redaction(kind, placeholder, digest))
        self.counts[kind] += 1
        if by_context and len(value) >= _BARE_LENGTH:
            self._bare[value] = placeholder
        return placeholder

    def _replace_bare(self, text: str) -> str:
        for value, placeholder in self._bare.items():
            if value in text:
                self.counts[placeholder[1:].rpartition("_")[0]] += text.count(value)
                text = text.replace(value, placeholder)
        return text

    def _value_bare(self, value: Any, name: str = "") -> Any:
        return self._replace_bare(value) if isinstance(value, str) else _map_value(value, self._value_bare, name)

    def _schema(self, tool: dict[str, Any]) -> dict[str, Any]:
        """Sessions of one agent repeat their schemas: each is redacted once."""
        key = msgspec.json.encode(tool)
        if key not in self._schemas:
            self._schemas[key] = self._described(tool)
        return self._schemas[key]

    def _described(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {
                key: self.text(item) if key == "description" and isinstance(item, str) else self._described(item)
                for key, item in value.items()
            }
        return [self._described(item) for item in value] if isinstance(value, list) else value


def _canonical(kind: str, value: str) -> str:
    """One spelling for values that are written in several ways."""
    if kind == "EMAIL":
        return value.lower()
    if kind in ("PHONE", "CARD", "IBAN"):
        return "".join(filter(str.isalnum, value))
    return value


def _map_value(value: Any, change: Callable[[Any, str], Any], name: str) -> Any:
    if isinstance(value, dict):
        return {key: change(item, key) for key, item in value.items()}
    return [change(item, name) for item in value] if isinstance(value, list) else value


def _map_texts(message: Message, text: Callable[[str], str], value: Callable[[Any], Any]) -> Message:
    """The message with `text` applied to its content and `value` to the arguments of its calls."""
    content = text(message.content)
    if not message.tool_calls:
        return message if content == message.content else msgspec.structs.replace(message, content=content)
    calls = tuple(msgspec.structs.replace(call, arguments=value(call.arguments)) for call in message.tool_calls)
    return msgspec.structs.replace(message, content=content, tool_calls=calls)
