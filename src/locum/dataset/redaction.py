"""Secrets and personal data become typed placeholders, and nothing but their salted hashes is kept.

`<EMAIL_1>`, `<AWS_KEY_1>`, ...: the same value gets the same placeholder everywhere in a dataset, so that a
row still shows that the address it was asked about is the address it wrote to. What is looked for is in
`detectors`. Replaced: message texts, tool arguments at any depth with the keys in them (many a call maps addresses
or paths to something), all texts in tool schemas but names, the names of provider and model, and account names in
the path of the log. An id in which something is found (of a session, as many a log is called after a person, of a
message or of a call) becomes a digest as a whole, as numbers of placeholders would name another session in another
dataset. Not touched: tool names, and argument names that a schema declares.

Logs are redacted in several processes, none of which knows what the others have found. They write `mark`s,
which name a value by its hash; `Numbering` gives them placeholders when the sessions are put in order.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
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
_FENCE = "\ufdd0"
"""A code point that Unicode sets aside for use inside programs: where a log holds one, it is replaced, so that
no log can write a mark."""
_MARK = re.compile(rf"{_FENCE}([A-Z_]+):([0-9a-f]{{64}}){_FENCE}".encode())


class Numbering:
    """Gives the values of one dataset their placeholders; the numbers follow appearance."""

    def __init__(self) -> None:
        self.values: list[Redaction] = []
        """Every value so far, in order of appearance."""
        self._placeholders: dict[str, str] = {}
        self._numbers: Counter[str] = Counter()

    def __call__(self, kind: str, sha256: str) -> str:
        """The placeholder of the value with this hash; a value that is found as two kinds keeps the first."""
        placeholder = self._placeholders.get(sha256)
        if placeholder is None:
            self._numbers[kind] += 1
            placeholder = f"<{kind}_{self._numbers[kind]}>"
            self._placeholders[sha256] = placeholder
            self.values.append(Redaction(kind, placeholder, sha256))
        return placeholder

    def placeholders(self, marks: Sequence[str]) -> dict[str, str]:
        """Marks, as `marks_in` finds them -> their placeholders."""
        return {mark: self(*mark.split(":")) for mark in marks}

    def replace_marks(self, text: bytes) -> bytes:
        """UTF-8 text (JSON as well) with a placeholder for every mark in it."""
        return replace_marks(text, self.placeholders(marks_in(text)))


def marks_in(text: bytes) -> tuple[str, ...]:
    """What the marks in UTF-8 text (JSON as well) say, each once, in order of appearance: `KIND:sha256`."""
    found = _MARK.findall(text) if _FENCE.encode() in text else ()
    return tuple(dict.fromkeys(f"{kind.decode()}:{sha256.decode()}" for kind, sha256 in found))


def replace_marks(text: bytes, placeholders: Mapping[str, str]) -> bytes:
    """UTF-8 text with the placeholder of every mark in it in its place."""
    if not placeholders:
        return text
    return _MARK.sub(lambda found: placeholders[f"{found[1].decode()}:{found[2].decode()}"].encode(), text)


def mark(kind: str, sha256: str) -> str:
    """What stands for a value until all values are known."""
    return f"{_FENCE}{kind}:{sha256}{_FENCE}"


class Redactor:
    """Replaces secrets in sessions."""

    def __init__(self, salt: str, write: Callable[[str, str], str] | None = None) -> None:
        """Args:
        salt: random text that goes into the hashes, so that they fit no other computer's.
        write: what to put in the place of a value, from its kind and hash: `mark`, or a `Numbering` (the
            default: one of its own).
        """
        self.counts: Counter[str] = Counter()
        """How many times a value of each type was replaced."""
        self._salt = salt
        self._write = Numbering() if write is None else write
        self._placeholders: dict[str, str] = {}
        self._schemas: dict[bytes, dict[str, Any]] = {}
        self._keys: dict[str, str] = {}
        self._bare: dict[str, tuple[str, str]] = {}

    def session(self, session: Session) -> Session:
        """The same session without secrets.

        Two passes: what the first finds by its context (`password: ...`) the second replaces wherever else in
        the session the same value stands without that context, before it or after.
        """
        self._bare, self._keys = {}, {}
        messages = tuple(self._named(_map_texts(message, self.text, self.value)) for message in session.messages)
        if self._bare:
            messages = tuple(_map_texts(message, self._replace_bare, self._value_bare) for message in messages)
        return msgspec.structs.replace(
            session,
            id=self._name(session.id),
            lineage=self._name(session.lineage),
            messages=messages,
            tools=tuple(self._schema(tool) for tool in session.tools),
            source=self.text(session.source),
            provider=None if session.provider is None else self.text(session.provider),
            model=None if session.model is None else self.text(session.model),
        )

    def without_forged_marks(self, text: bytes) -> bytes:
        """UTF-8 text in which only the marks that this redactor wrote are marks: names and ids, which are not
        redacted, may hold others."""
        if _FENCE.encode() not in text:
            return text
        written = set(self._placeholders.values())

        def checked(found: re.Match[bytes]) -> bytes:
            return found[0] if found[0].decode() in written else found[0].decode().replace(_FENCE, "\ufffd").encode()

        return _MARK.sub(checked, text)

    def text(self, text: str) -> str:
        """The text with every secret replaced. Text that UTF-8 cannot hold (half a surrogate pair) gets
        `?`."""
        if not text.isascii():
            text = _encodable(text).replace(_FENCE, "\ufffd")
        findings = find(text)
        if not findings:
            return text
        parts: list[str] = []
        done = 0
        for finding in findings:
            written = text[finding.start : finding.end]
            value = finding.value or written
            parts += (text[done : finding.start], self._placeholder(finding.kind, value, finding.by_context))
            if finding.value and finding.by_context and len(written) >= _BARE_LENGTH:
                self._bare[written] = (finding.kind, self._placeholders[canonical_form(finding.kind, value)])
            done = finding.end
        return "".join((*parts, text[done:]))

    def value(self, value: Any, name: str = "") -> Any:
        """A JSON value with every text in it redacted; `name` is the key that it stands under."""
        if isinstance(value, str):
            kind = secret_kind(name) if name else None
            if kind is not None and is_secret(value, kind):
                return self._placeholder(kind, value, by_context=True)
            return self.text(value)
        return _map_value(value, self.value, name, self._key)

    def _named(self, message: Message) -> Message:
        """The message with the ids, and the name of the model, under which it may leave."""
        calls = message.tool_calls
        ids = (message.id, message.tool_call_id, *(call.id for call in calls))
        if any(name is not None and find(name) for name in ids):
            message = msgspec.structs.replace(
                message,
                id=message.id and self._name(message.id),
                tool_call_id=message.tool_call_id and self._name(message.tool_call_id),
                tool_calls=tuple(msgspec.structs.replace(call, id=self._name(call.id)) for call in calls),
            )
        usage = message.usage
        if usage is not None and usage.model is not None and (model := self.text(usage.model)) != usage.model:
            message = msgspec.structs.replace(message, usage=msgspec.structs.replace(usage, model=model))
        return message

    def _name(self, name: str) -> str:
        redacted = redacted_name(self._salt, name)
        if redacted != name:
            self.counts.update(finding.kind for finding in find(name))
        return redacted

    def _key(self, key: str) -> str:
        """The keys of a session's calls are few and come again: each is looked at once."""
        if key not in self._keys:
            self._keys[key] = self.text(key)
        return self._keys[key]

    def _placeholder(self, kind: str, value: str, by_context: bool) -> str:
        canonical = canonical_form(kind, value)
        placeholder = self._placeholders.get(canonical)
        if placeholder is None:
            placeholder = self._placeholders[canonical] = self._write(kind, salted_hash(self._salt, canonical))
        self.counts[kind] += 1
        if by_context and len(value) >= _BARE_LENGTH:
            self._bare[value] = (kind, placeholder)
        return placeholder

    def _replace_bare(self, text: str) -> str:
        for value, (kind, placeholder) in self._bare.items():
            if value in text:
                self.counts[kind] += text.count(value)
                text = text.replace(value, placeholder)
        return text

    def _value_bare(self, value: Any, name: str = "") -> Any:
        if isinstance(value, str):
            return self._replace_bare(value)
        return _map_value(value, self._value_bare, name, self._replace_bare)

    def _schema(self, tool: dict[str, Any]) -> dict[str, Any]:
        """Sessions of one agent repeat their schemas: each is redacted once."""
        key = msgspec.json.encode(tool)
        if key not in self._schemas:
            self._schemas[key] = self._described(tool)
        return self._schemas[key]

    def _described(self, value: Any) -> Any:
        """All texts but names: defaults, examples and what may be chosen hold addresses as descriptions do."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {key: item if _names(key, item) else self._described(item) for key, item in value.items()}
        return [self._described(item) for item in value] if isinstance(value, list) else value


def salted_hash(salt: str, canonical: str) -> str:
    """Hex SHA-256 of the salt and a value in its canonical form: what is kept of it (`Redaction.sha256`)."""
    return hashlib.sha256((salt + canonical).encode()).hexdigest()


def redacted_name(salt: str, name: str) -> str:
    """A session's or a lineage's name as a dataset shows it: as it is, or, where something in it must not leave,
    `redacted-` and 16 hex digits of the salted SHA-256 of all of it."""
    return f"redacted-{salted_hash(salt, _encodable(name))[:16]}" if find(name) else name


def canonical_form(kind: str, value: str) -> str:
    """One spelling for values that are written in several ways."""
    if kind == "EMAIL":
        return value.lower()
    if kind in ("PHONE", "CARD", "IBAN"):
        return "".join(filter(str.isalnum, value))
    return value


def _encodable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode()
    return text


def _names(key: str, item: Any) -> bool:
    """Whether this part of a tool's schema names the tool or its arguments, which stay as the calls have them."""
    return (key == "name" and isinstance(item, str)) or (key == "required" and isinstance(item, list))


def _map_value(value: Any, change: Callable[[Any, str], Any], name: str, change_key: Callable[[str], str]) -> Any:
    if isinstance(value, dict):
        changed: dict[str, Any] = {}
        for key, item in value.items():
            new = change_key(key)
            while new in changed:  # one address in two spellings is one placeholder, and neither entry may be lost
                new += "_"
            changed[new] = change(item, key)
        return changed
    return [change(item, name) for item in value] if isinstance(value, list) else value


def _map_texts(message: Message, text: Callable[[str], str], value: Callable[[Any], Any]) -> Message:
    """The message with `text` applied to its content and `value` to the arguments of its calls."""
    content = text(message.content)
    if not message.tool_calls:
        return message if content == message.content else msgspec.structs.replace(message, content=content)
    calls = tuple(msgspec.structs.replace(call, arguments=value(call.arguments)) for call in message.tool_calls)
    return msgspec.structs.replace(message, content=content, tool_calls=calls)
