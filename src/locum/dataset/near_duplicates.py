"""Rows that are nearly the same, and the check that none of them crosses from one split to another.

Two rows are near-duplicates if whoever has learnt one by heart would get the other right: what the turn answers
(the *question*) is nearly the same, and what the agent did (the *answer*: text, calls, arguments) is so too. Each
by itself, because one file read twice is a long question in common with two different decisions after it, and
because "Done." is an answer in common to a thousand questions.

- The question is the messages since the agent's last one. Where these have fewer than `QUESTION_CHARS` characters
  ("yes", "no matches found") the messages before them are added, one by one: a short reply says little of what it
  replies to. The system message, the same in all rows of an agent, is no part of it.
- Texts are compared with case and spacing levelled, as sets of all their pieces of `SHINGLE` characters, by Jaccard
  similarity; both parts must reach `THRESHOLD`. A text below `SHORT` characters has one piece, itself: it is like
  another only where the two are equal. docs/decisions/0002-near-duplicates.md has the figures behind these numbers.

A row is kept as 512 bytes: the low bytes of 256 minima of its question's hashes and of 256 of its answer's (b-bit
minwise hashing: Li and König, WWW 2010; the minima by `rensa`). Rows that agree in one of 64 bands, of four bytes
from each part, are compared by the estimate that their bytes give, at a threshold below the true one, so that
hardly a true pair is missed: of 20,000 planted at 0.8 in both parts, none.

The leak check has signatures of its own, by other hashes and of 96 minima a part: it compares texts in the end, so that
it needs no good estimate, only every true pair among its candidates (of the same 20,000, all are).
"""

import hashlib
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate, islice
from pathlib import Path
from typing import IO, NamedTuple

import msgspec
import numpy as np
import rensa
from numpy.typing import NDArray

from locum.dataset.split import SPLITS
from locum.dataset.store import row_ids, rows_at
from locum.types import Message, Row, Split, ToolCall

THRESHOLD = 0.8
"""Jaccard similarity from which two questions, and two answers, are nearly the same."""
SHINGLE = 8
"""Characters in a piece: as many as a number of 64 bits holds of ASCII."""
SHORT = 80
"""Characters below which one changed character alone brings the similarity under the threshold."""
QUESTION_CHARS = 200
"""A question goes back over earlier messages until it has as many characters."""

Signature = bytes
"""Eight bytes a band; equal questions and answers have equal signatures, on every machine, for one version of
`rensa`."""
_BAND = 8
"""Bytes of a band: it is compared as one number of 64 bits."""


class _Sketch(NamedTuple):
    """How signatures are made and compared."""

    seed: int
    slots: int
    """Minima of each part."""
    wide: int
    """Of a part's minima in a band: at most half of `_BAND`."""
    estimate: float
    """What an estimate of both parts must reach."""

    @property
    def bands(self) -> int:
        return self.slots // self.wide


_FIRST = _Sketch(seed=1, slots=256, wide=4, estimate=0.7)
"""The standard error of its estimate at `THRESHOLD` is below 0.025."""
_SECOND = _Sketch(seed=2, slots=96, wide=3, estimate=0.6)
"""Below 0.041; a pair at `THRESHOLD` agrees in none of its 32 bands with odds of 1 in 17,000."""
_WITHIN = 16
"""How many rows before it in a bucket a row is compared with: whoever is further back in a crowded bucket is like
those in between, or in other buckets too."""
_AT_ONCE = 1 << 13
"""Pairs that are compared, or rows that are read, at a time: a signature of each takes 4 MiB."""
_TOGETHER = 16
"""Rows that are signed at once: more would not stay in the processor's cache."""
_BASE = 0x9E3779B97F4A7C15

_ENCODER = msgspec.json.Encoder(order="deterministic")

_Indices = NDArray[np.intp]


class Leak(msgspec.Struct, frozen=True):
    """A held-out row and a row of an earlier split that is nearly the same."""

    row: str
    """The held-out row's id."""
    split: Split
    like: str
    """The earlier row's id."""
    like_split: Split
    question: float
    """Jaccard similarity of the questions, exactly."""
    answer: float


def signatures(rows: Sequence[Row]) -> list[Signature]:
    """What `clusters` needs of each row; of many together they cost half of what they cost one by one."""
    return [signature for (signature,) in _signatures(map(question_and_answer, rows), _FIRST)]


def both_signatures(texts: Iterable[tuple[str, str]]) -> list[tuple[Signature, Signature]]:
    """What `clusters` needs of each row, and what `leaks` does.

    Args:
        texts: `question_and_answer` of each row; those of several sessions at once cost less.
    """
    return [(first, second) for first, second in _signatures(texts, _FIRST, _SECOND)]


class Signed:
    """The second signatures of rows, kept from when they were built: 8 bytes of memory a row, the rest in a file.

    Args:
        file: empty, to be written and read.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._ids = array("Q")
        self._file = file

    def add(self, row: str, signature: Signature) -> None:
        """Keep that of the row of this id."""
        self._ids.append(_number(row))
        self._file.write(signature)

    def of(self, rows: Iterable[str]) -> NDArray[np.uint8]:
        """Those of the rows of these ids, one below the other; each has been kept."""
        ids = np.frombuffer(self._ids, np.uint64)
        wanted = np.fromiter(map(_number, rows), np.uint64)
        order = np.argsort(ids)
        found = order[np.searchsorted(ids, wanted, sorter=order)]
        assert np.array_equal(ids[found], wanted)
        place = np.full(len(ids), -1)
        place[found] = np.arange(len(found))
        table = np.empty((len(found), _SECOND.bands * _BAND), np.uint8)
        self._file.seek(0)
        for at in range(0, len(ids), _AT_ONCE):
            some = _table(self._file.read(_AT_ONCE * table.shape[1]), _SECOND)
            to = place[at : at + len(some)]
            table[to[to >= 0]] = some[to >= 0]
        return table


def _number(row: str) -> int:
    """64 bits for a row's id: among a million rows two meet with odds of 1 in 30 million."""
    return int.from_bytes(hashlib.blake2b(row.encode(), digest_size=8).digest(), "little")


def clusters(signatures: bytes | bytearray) -> list[int]:
    """Rows that are nearly the same, and those that are so through others between them, as clusters.

    Time grows linearly with the rows (but for sorting), memory by about 550 bytes a row beside the signatures.

    Args:
        signatures: of rows, in their order, one after the other.

    Returns:
        for each row the index of the first row of its cluster: its own, where it is like none before it.
    """
    table = _table(signatures, _FIRST)
    parent = np.arange(len(table))
    for earlier, later in _neighbours(table):
        apart = parent[earlier] != parent[later]
        earlier, later = earlier[apart], later[apart]
        alike = _alike(table, earlier, later, _FIRST)
        if not alike.any():
            continue
        for one, other in zip(earlier[alike].tolist(), later[alike].tolist(), strict=True):
            first, second = sorted((_root(parent, one), _root(parent, other)))
            parent[second] = first
        while not np.array_equal(parent, flat := parent[parent]):
            parent = flat
    return [int(first) for first in parent]


def leaks(folder: Path, signed: Signed) -> list[Leak]:
    """A second look at a finished dataset, independent of how it was split: near-duplicates across splits.

    Which rows each split has is read from the folder. Candidates come from other hashes than the builder's; each is
    then compared text by text, as the folder has it. No more than the texts of candidates are held at a time.

    Args:
        folder: the dataset.
        signed: the second signatures of its rows.

    Returns:
        one entry for each pair, in the order of the held-out rows; empty for a dataset without a leak.

    Raises:
        DatasetError: the folder is no dataset.
    """
    ids = [list(row_ids(folder, split)) for split in SPLITS]
    split_at = np.repeat(np.arange(len(SPLITS)), list(map(len, ids)))
    pairs: set[tuple[int, int]] = set()
    table = signed.of(id for some in ids for id in some)
    for earlier, later in _neighbours(table, across=split_at):
        alike = _alike(table, earlier, later, _SECOND)
        pairs.update(zip(later[alike].tolist(), earlier[alike].tolist(), strict=True))
    wanted = sorted({at for pair in pairs for at in pair})
    starts = list(accumulate(map(len, ids), initial=0))
    rows = (
        row
        for split, start, end in zip(SPLITS, starts, starts[1:], strict=False)
        if (places := {at - start for at in wanted if start <= at < end})
        for row in rows_at(folder, split, places)
    )
    texts = {at: (row.id, *question_and_answer(row)) for at, row in zip(wanted, rows, strict=True)}
    found = []
    for at, like in sorted(pairs):
        (row, *parts), (like_row, *like_parts) = texts[at], texts[like]
        question, answer = (jaccard(one, other) for one, other in zip(parts, like_parts, strict=True))
        if min(question, answer) >= THRESHOLD:
            found.append(Leak(row, SPLITS[split_at[at]], like_row, SPLITS[split_at[like]], question, answer))
    return found


def question_and_answer(row: Row, least: int = QUESTION_CHARS) -> tuple[str, str]:
    """What is compared of a row: what the turn answers and what the agent did, case and spacing levelled.

    The question goes back over messages before the agent's last until it has `least` characters.
    """
    return compared(row.messages, lambda at: _levelled(row.messages[at]), least)


def compared(messages: Sequence[Message], level: Callable[[int], str], least: int = QUESTION_CHARS) -> tuple[str, str]:
    """`question_and_answer` of a row, for whoever keeps the levelled texts of its messages.

    Args:
        messages: the row's.
        level: `levelled` of the message at this place among them.
        least: characters that a question has, where there are as many.
    """
    parts: list[str] = []
    chars = 0
    answered = False
    for at in range(len(messages) - 2, -1, -1):
        role = messages[at].role
        answered = answered or role == "assistant"
        if answered and chars >= least:
            break
        if role != "system":
            parts.append(level(at))
            chars += len(parts[-1])
    return " ".join(reversed(parts)), level(len(messages) - 1)


def levelled(content: str, calls: Sequence[ToolCall]) -> str:
    """A message's text and calls in one spelling.

    Args:
        content: its text, each stretch of white space levelled to a blank or not.
        calls: its calls.
    """
    parts = [content]
    for call in calls:
        parts += (call.name, _ENCODER.encode(call.arguments).decode())
    return " ".join(" ".join(parts).casefold().split())


def jaccard(one: str, other: str) -> float:
    """Jaccard similarity of two levelled texts, 0 to 1: pieces in both, of those in either."""
    if one == other:
        return 1.0
    pieces, others = _pieces(one), _pieces(other)
    return len(pieces & others) / len(pieces | others)


def _pieces(text: str) -> set[str]:
    if len(text) < SHORT:
        return {text}
    return {text[at : at + SHINGLE] for at in range(len(text) - SHINGLE + 1)}


def _levelled(message: Message) -> str:
    return levelled(message.content, message.tool_calls)


def _signatures(texts: Iterable[tuple[str, str]], *sketches: _Sketch) -> Iterator[tuple[Signature, ...]]:
    """Of each question and answer, one by each sketch."""
    coming = iter(texts)
    while some := list(islice(coming, _TOGETHER)):
        pieces = [_pieces_of(text) for pair in some for text in pair]
        ends = [0, *accumulate(map(len, pieces))]
        hashes = _mixed(np.concatenate(pieces))
        yield from zip(*(_minima(hashes, ends, sketch) for sketch in sketches), strict=True)


def _minima(hashes: NDArray[np.uint64], ends: list[int], sketch: _Sketch) -> list[Signature]:
    """The signatures of texts, two by two, whose pieces' hashes are given one after the other."""
    minima = array("I")
    rows = rensa.RMinHash.digest_matrix_from_flat_token_hashes(hashes, ends, sketch.slots, sketch.seed).to_rows()
    for row in rows:
        minima.fromlist(row)  # several times as fast as an array of numpy's from lists
    low = np.frombuffer(minima, np.uint32).astype(np.uint8).reshape(-1, 2, sketch.bands, sketch.wide)
    # Band by band: bytes of the question's, as many of the answer's, and noughts where there is room.
    table = np.zeros((len(low), sketch.bands, _BAND), np.uint8)
    table[:, :, : sketch.wide] = low[:, 0]
    table[:, :, sketch.wide : 2 * sketch.wide] = low[:, 1]
    raw, size = table.tobytes(), sketch.bands * _BAND
    return [raw[at : at + size] for at in range(0, len(raw), size)]


def _pieces_of(text: str) -> NDArray[np.uint64]:
    """A number for each piece.

    The low bytes of a piece's eight characters are one number of 64 bits, which is read in place: in text of ASCII
    that is the whole piece. The rest of other characters is added as a polynomial over them, which is 0 where there is
    none, so that a piece has the same number in either kind of text.
    """
    if len(text) < SHORT:
        digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        return np.frombuffer(digest, np.uint64)
    if text.isascii():
        return _windows(text.encode("ascii"))
    characters = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    rest = (characters >> np.uint32(8)).astype(np.uint64)
    width, power = 1, _BASE
    while width < SHINGLE:
        rest = rest[:-width] * np.uint64(power) + rest[width:]
        width, power = 2 * width, power * power % 2**64
    return _windows(characters.astype(np.uint8).tobytes()) ^ (rest * np.uint64(_BASE))


def _windows(raw: bytes) -> NDArray[np.uint64]:
    """Every eight bytes in a row, as numbers; a view of them."""
    return np.ndarray(len(raw) - SHINGLE + 1, "<u8", raw, strides=(1,))


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): every bit comes to depend on every other.

    The values themselves are overwritten: this is where a signature's time goes.
    """
    shifted = np.empty_like(values)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1)):
        np.right_shift(values, np.uint64(shift), out=shifted)
        values ^= shifted
        if factor != 1:
            values *= np.uint64(factor)
    return values


def _table(signatures: bytes | bytearray, sketch: _Sketch) -> NDArray[np.uint8]:
    return np.frombuffer(signatures, np.uint8).reshape(-1, sketch.bands * _BAND)


def _neighbours(
    table: NDArray[np.uint8], across: NDArray[np.intp] | None = None
) -> Iterator[tuple[_Indices, _Indices]]:
    """Pairs of rows that agree in a band, the earlier row and the later one, some twice.

    Args:
        table: a signature a row.
        across: a number for each row: only pairs of rows with different numbers count.
    """
    bands = table.view(np.uint64)
    for band in range(bands.shape[1]):
        keys = bands[:, band]
        order = np.argsort(keys, kind="stable")
        keys = keys[order]
        for back in range(1, _WITHIN + 1):
            same = np.flatnonzero(keys[back:] == keys[:-back])
            if not len(same):
                break  # no bucket holds more than `back` rows
            earlier, later = order[same], order[same + back]
            if across is not None:
                apart = across[earlier] != across[later]
                earlier, later = earlier[apart], later[apart]
            for start in range(0, len(earlier), _AT_ONCE):
                yield earlier[start : start + _AT_ONCE], later[start : start + _AT_ONCE]


def _alike(table: NDArray[np.uint8], earlier: _Indices, later: _Indices, sketch: _Sketch) -> NDArray[np.bool_]:
    """Whether both parts of each pair reach the estimate; of unlike minima, one low byte in 256 agrees as well."""
    # Eight bytes of a band are added up as one number: 64 times 0 or 1 fit into each of them.
    lanes = (table[earlier] == table[later]).view(np.uint64).sum(axis=1).view(np.uint8).reshape(-1, _BAND)
    agree = lanes[:, : 2 * sketch.wide].reshape(-1, 2, sketch.wide).sum(axis=2) / sketch.slots
    estimates = (agree - 1 / 256) / (1 - 1 / 256)
    return np.asarray((estimates >= sketch.estimate).all(axis=1))


def _root(parent: _Indices, at: int) -> int:
    while (up := int(parent[at])) != at:
        at = up
    return at
