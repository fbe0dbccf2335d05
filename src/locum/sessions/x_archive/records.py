"""The files of an X archive: `window.YTD.<kind>.part<n> = [...]` around a JSON list.

Only what was posted is opened: `tweets.js` (older `tweet.js`, further parts `tweets-part1.js`) and `note-tweet.js`
(`note-tweet-part1.js`), and of those only files that say themselves that they hold that kind. Everything else in an
archive (messages, account, deleted posts, what was looked at) is private and stays closed.
"""

import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec

from locum.sessions.json_records import list_records
from locum.sessions.jsonl import BOM, BadRecord, decode, value_or_reason

Kind = Literal["tweets", "notes", "other"]
_HEADER = re.compile(rb"\s*window\.YTD\.(\w+)\.part\d+\s*=\s*")
_KINDS: dict[bytes, Kind] = {
    b"tweets": "tweets",
    b"tweet": "tweets",
    b"note_tweet": "notes",
    b"note_tweets": "notes",
    b"noteTweet": "notes",
}
_NAMES: dict[Kind, re.Pattern[str]] = {
    "tweets": re.compile(r"tweets?(?:-part(\d{1,6}))?\.js"),
    "notes": re.compile(r"note-tweets?(?:-part(\d{1,6}))?\.js"),
}
_RAW = msgspec.json.Decoder(list[msgspec.Raw])
_HEAD = 256


class Record(NamedTuple):
    """An item of a file's list, or why it is none."""

    number: int
    value: dict[str, Any] | None
    bad: str = ""


def kind_of_file(head: bytes) -> Kind | None:
    """What a file of an archive holds, by its first line; None where it is of no archive."""
    header = _HEADER.match(head)
    return None if header is None else _KINDS.get(header[1], "other")


def read_items(path: Path, wrapper: str) -> Iterator[Record]:
    """The items of a file, numbered from 1; of a list that is cut, those before the cut.

    Args:
        wrapper: the one key around every item; items of old archives have none.

    Raises:
        OSError: the file cannot be read.
    """
    raw = path.read_bytes().removeprefix(BOM)
    header = _HEADER.match(raw)
    body = raw[header.end() if header else 0 :].rstrip(b"; \t\r\n")
    try:
        pieces: list[Any] = decode(_RAW, body)
        broken = None
    except BadRecord:
        pieces, broken = list_records(body)
    number = 0
    for number, piece in enumerate(pieces, 1):
        item = value_or_reason(bytes(piece)) if isinstance(piece, msgspec.Raw) else piece
        if isinstance(item, BadRecord):
            yield Record(number, None, str(item))
            continue
        value = item.get(wrapper, item) if isinstance(item, dict) else None
        yield Record(number, value) if isinstance(value, dict) else Record(number, None, f"no {wrapper}")
    if broken is not None:
        yield Record(number + 1, None, broken)


def parts_beside(path: Path, kind: Kind) -> list[Path]:
    """The files of a kind in a file's folder, in order, the file itself included where it is one; no links."""
    named = ((_NAMES[kind].fullmatch(file.name), file) for file in path.parent.iterdir())
    parts = [(int(name[1] or 0), file) for name, file in named if name is not None and _holds(file, kind)]
    return [file for _, file in sorted(parts)]


def _holds(path: Path, kind: Kind) -> bool:
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            return False
        with path.open("rb") as file:
            return kind_of_file(file.read(_HEAD).removeprefix(BOM)) == kind
    except OSError:
        return False
