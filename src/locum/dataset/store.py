"""A dataset on disk: one folder, written as a whole or not at all.

`train.jsonl valid.jsonl test.jsonl` hold rows in the shape that TRL and mlx-lm read (`messages` in OpenAI's
roles with arguments as objects, `tools`), with everything else that a row knows under the one key `locum`;
`drops.jsonl` holds the drops, `contrast.jsonl` what was taken back, `documents.jsonl` the standing documents,
`stats.json` the numbers, `README.md` the card. Salted hashes of what was replaced
stand in `DIR.redactions.json` beside the folder: they serve to probe a model trained on the rows, and are not for
publishing with them.
"""

import os
import re
from collections.abc import Callable, Container, Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from locum import files
from locum.dataset.contrast import Contrast
from locum.dataset.documents import Document
from locum.dataset.redaction import Redactions
from locum.dataset.stats import Stats
from locum.errors import DatasetError
from locum.types import Drop, Message, Origin, Role, Row, Signal, Split, Tier, ToolCall

T = TypeVar("T")
CONTRASTS = "contrast.jsonl"
DOCUMENTS = "documents.jsonl"


class _Function(msgspec.Struct, frozen=True):
    name: str
    arguments: dict[str, Any]


class _Call(msgspec.Struct, frozen=True):
    id: str
    function: _Function
    type: Literal["function"] = "function"


class _WireMessage(msgspec.Struct, frozen=True, omit_defaults=True):
    role: Role
    content: str | msgspec.UnsetType = msgspec.UNSET  # never left out in writing: templates read it
    tool_calls: tuple[_Call, ...] = ()
    tool_call_id: str | None = None
    name: str | None = None


class _Note(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a message has beyond the shape that trainers read."""

    origin: Origin = "harness"
    id: str | None = None
    time: str | None = None
    signals: tuple[Signal, ...] = ()


class _About(msgspec.Struct, frozen=True, omit_defaults=True):
    id: str
    session: str
    lineage: str
    turn: int
    family: str
    tier: Tier
    format: str = ""
    source: str = ""
    time: str | None = None
    provider: str | None = None
    model: str | None = None
    shortened: int = 0
    refines: str | None = None
    documents: tuple[str, ...] = ()


class _Locum(_About, frozen=True):
    notes: tuple[_Note, ...] = ()


class _WrittenLocum(_About, frozen=True):
    """`_Locum`, its notes encoded already."""

    notes: list[msgspec.Raw] = []


class _Line(msgspec.Struct, frozen=True, omit_defaults=True):
    messages: tuple[_WireMessage, ...]
    tools: tuple[dict[str, Any], ...] = ()
    locum: _Locum | msgspec.UnsetType = msgspec.UNSET


class _Written(msgspec.Struct, frozen=True):
    """`_Line`, its parts encoded already."""

    messages: list[msgspec.Raw]
    tools: msgspec.Raw | msgspec.UnsetType
    locum: _WrittenLocum


class _Id(msgspec.Struct, frozen=True):
    id: str


class _Named(msgspec.Struct, frozen=True):
    """As much of a `_Line` as names it."""

    locum: _Id


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Line).decode
_decode_id = msgspec.json.Decoder(_Named).decode
_BEFORE_ID = b'"locum":{"id":"'
_WRITTEN_ID = re.compile(_BEFORE_ID + rb'([0-9a-f]{64})"')


class EncodedMessage(msgspec.Struct, frozen=True):
    """A message as rows hold it."""

    wire: msgspec.Raw
    note: msgspec.Raw


def encode_message(message: Message) -> EncodedMessage:
    """A message, encoded once for all rows that show it."""
    note = _Note(message.origin, message.id, message.time, message.signals)
    return EncodedMessage(msgspec.Raw(_encode(_to_wire(message))), msgspec.Raw(_encode(note)))


def encode_tools(tools: tuple[dict[str, Any], ...]) -> msgspec.Raw | msgspec.UnsetType:
    """Tool schemas, encoded once for all rows of a session."""
    return msgspec.Raw(_encode(tools)) if tools else msgspec.UNSET


def encode_row(row: Row) -> bytes:
    """A row as one JSON line, without the line break."""
    return assemble_row(row, tuple(map(encode_message, row.messages)), encode_tools(row.tools))


def assemble_row(row: Row, messages: Sequence[EncodedMessage], tools: msgspec.Raw | msgspec.UnsetType) -> bytes:
    """What `encode_row` makes of a row whose messages and tools are encoded already."""
    about = _WrittenLocum(
        row.id,
        row.session,
        row.lineage,
        row.turn,
        row.family,
        row.tier,
        row.format,
        row.source,
        row.time,
        row.provider,
        row.model,
        row.shortened,
        row.refines,
        row.documents,
        [message.note for message in messages],
    )
    return _encode(_Written([message.wire for message in messages], tools, about))


def decode_row(line: bytes) -> Row:
    """The row that `encode_row` wrote.

    Raises:
        msgspec.ValidationError: the line is no row.
    """
    wire = _decode(line)
    about = wire.locum
    if about is msgspec.UNSET or len(about.notes) != len(wire.messages):
        raise msgspec.ValidationError("a line without the key `locum` is no row")
    return Row(
        id=about.id,
        session=about.session,
        lineage=about.lineage,
        turn=about.turn,
        family=about.family,
        messages=tuple(map(_from_wire, wire.messages, about.notes)),
        tools=wire.tools,
        time=about.time,
        format=about.format,
        source=about.source,
        provider=about.provider,
        model=about.model,
        tier=about.tier,
        shortened=about.shortened,
        refines=about.refines,
        documents=about.documents,
    )


def rows_at(folder: Path, split: Split, places: Container[int]) -> Iterator[Row]:
    """The rows of one split at some places, counted from 0, without the others being decoded; raises as
    `iterate_rows`."""
    number = count()
    rows = _decoded(folder, split, lambda line: decode_row(line) if next(number) in places else None)
    return (row for row in rows if row is not None)


def iterate_rows(folder: Path, split: Split) -> Iterator[Row]:
    """The rows of one split, one at a time in memory.

    Raises:
        DatasetError: the folder is no dataset, or a line of it is no row.
    """
    return _decoded(folder, split, decode_row)


def _decoded(folder: Path, split: Split, decode: Callable[[bytes], T]) -> Iterator[T]:
    path = _require(folder, f"{split}.jsonl")
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                yield decode(line)
            except msgspec.MsgspecError as error:
                raise DatasetError(f"{path}:{number} is no row: {_first_line(error)}; extract it again") from None


def row_ids(folder: Path, split: Split) -> Iterator[str]:
    """The ids of the rows of one split; raises as `iterate_rows`, but for what is damaged before the id alone."""
    return _decoded(folder, split, _id)


def _id(line: bytes) -> str:
    # The last such place is what `assemble_row` wrote: arguments of calls stand before it, and in texts quotes are
    # escaped. So most of a line need not be looked at.
    found = _WRITTEN_ID.match(line, max(0, line.rfind(_BEFORE_ID)))
    return found[1].decode() if found else _decode_id(line).locum.id


def read_rows(folder: Path, split: Split) -> list[Row]:
    """The rows of one split; raises as `iterate_rows`."""
    return list(iterate_rows(folder, split))


def read_drops(folder: Path) -> list[Drop]:
    """The drops of a dataset; raises as `read_rows`."""
    return _read(folder, "drops.jsonl", lambda path: files.read_jsonl(path, Drop), "drops")


def read_contrasts(folder: Path) -> list[Contrast]:
    """The turns of a dataset that were taken back; raises as `read_rows`."""
    return _read(folder, CONTRASTS, lambda path: files.read_jsonl(path, Contrast), "contrasts")


def read_documents(folder: Path) -> list[Document]:
    """The standing documents of a dataset; raises as `read_rows`."""
    return _read(folder, DOCUMENTS, lambda path: files.read_jsonl(path, Document), "documents")


def read_stats(folder: Path) -> Stats:
    """The numbers of a dataset; raises as `read_rows`."""
    return _read(folder, "stats.json", lambda path: files.read_json(path, Stats), "statistics")


def read_redactions(folder: Path) -> Redactions:
    """The salted hashes of what was replaced in a dataset; raises as `read_rows`."""
    path = redactions_file(folder)
    return _read(path.parent, path.name, lambda path: files.read_json(path, Redactions), "redactions")


def redactions_file(folder: Path) -> Path:
    """Where the hashes of a dataset stand: beside its folder."""
    place = Path(os.path.abspath(folder))
    return place.with_name(f"{place.name}.redactions.json")


def _read(folder: Path, name: str, read: Callable[[Path], T], content: str) -> T:
    path = _require(folder, name)
    try:
        return read(path)
    except msgspec.MsgspecError as error:
        raise DatasetError(f"{path} holds no {content}: {_first_line(error)}; extract it again") from None


def _require(folder: Path, name: str) -> Path:
    path = folder / name
    if not path.is_file():
        raise DatasetError(f"{folder} is no dataset: it has no {name}; make one with `locum extract SOURCE --out DIR`")
    return path


def _first_line(error: Exception) -> str:
    """msgspec names the place and the expected type, never the value."""
    return str(error).partition("\n")[0]


def _to_wire(message: Message) -> _WireMessage:
    calls = tuple(_Call(call.id, _Function(call.name, call.arguments)) for call in message.tool_calls)
    return _WireMessage(message.role, message.content, calls, message.tool_call_id, message.tool_name)


def _from_wire(wire: _WireMessage, note: _Note) -> Message:
    return Message(
        role=wire.role,
        content=wire.content if wire.content is not msgspec.UNSET else "",
        tool_calls=tuple(ToolCall(call.id, call.function.name, call.function.arguments) for call in wire.tool_calls),
        tool_call_id=wire.tool_call_id,
        tool_name=wire.name,
        origin=note.origin,
        id=note.id,
        time=note.time,
        signals=note.signals,
    )
