"""What a post says: its whole text as it was read, and what it leans on.

Fields are strings, as in X's first API: `id_str`, `full_text` (with `&amp;`, `&lt;`, `&gt;`, t.co links, and an
ellipsis where it is cut), `created_at`, `in_reply_to_status_id_str`, `display_text_range`, `entities`, `edit_info`.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec

from locum.sessions.jsonl import utc

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_CREATED = re.compile(r"\w{3} (\w{3}) (\d\d) (\d\d:\d\d:\d\d) ([+-]\d\d)(\d\d) (\d{4})")
_ID = re.compile(r"[0-9]{1,20}")
_MENTIONS = re.compile(r"(?:@\w+\s+)+")
_LINK = re.compile(r"https?://\S*")
_QUOTED = re.compile(r"https?://(?:www\.|mobile\.)?(?:twitter|x)\.com/\w{1,50}/status/(\d{1,20})(?:[/?#]\S*)?\Z")
_SAME_POST = 60.0
"""Seconds by which a note and its tweet may differ."""
_MOST_NOTES = 50
"""Notes before and after a post that are compared with it: nobody writes more within a minute."""
_LONGEST_LINK = 500
_CUT_FROM = 240
"""Characters, wide ones counted twice, from which on an ellipsis at the end means that the text was cut."""


class Note(msgspec.Struct, frozen=True):
    """The whole text of a long post."""

    number: int
    file: str
    seconds: float
    """Since 1970."""
    text: str
    plain: str
    """The text as it is compared: without white space."""


class Post(msgspec.Struct):
    """A post of the archive's owner."""

    number: int
    file: str
    id: str
    text: str
    time: str | None
    parent: str | None
    """The post that it replies to, whoever wrote it."""
    quotes: str | None
    """The post that it ends with as a quotation."""
    versions: tuple[str, ...]
    """All ids that it had while it was edited."""
    retweet: bool = False
    cut: bool = False
    """Its text ends before its end, and the whole of it is in no note."""
    pictured: bool = False
    """It shows something that is not in the archive as text."""
    note: Note | None = None

    @property
    def order(self) -> tuple[str, int]:
        """By time, then by id."""
        return (self.time or "", int(self.id))


class Notes:
    """The notes of an archive, to be found by the time and the beginning of a post."""

    def __init__(self, notes: Iterable[Note]) -> None:
        self._notes = sorted(notes, key=lambda note: note.seconds)
        self._times = [note.seconds for note in self._notes]

    def of(self, text: str, time: str | None) -> Note | None:
        """The note of a post, or None: its text begins with the post's, and it was made within a minute of it."""
        if not self._notes or time is None:
            return None
        pieces = [_plain(piece) for piece in _LINK.split(text.removesuffix("…"))]
        if not any(pieces):
            return None
        seconds = datetime.fromisoformat(time).timestamp()
        at = bisect_left(self._times, seconds)
        low = max(bisect_left(self._times, seconds - _SAME_POST), at - _MOST_NOTES)
        high = min(bisect_right(self._times, seconds + _SAME_POST), at + _MOST_NOTES)
        fitting = [note for note in self._notes[low:high] if _begins(note.plain, pieces)]
        return min(fitting, key=lambda note: abs(note.seconds - seconds), default=None)


def note(number: int, file: str, value: dict[str, Any]) -> Note | None:
    """A note out of its record; None where it has no text or no time."""
    core = _dict(value.get("core"))
    text, time = core.get("text"), utc(value.get("createdAt"))
    if not isinstance(text, str) or not text.strip() or time is None:
        return None
    text = _expanded(_unescaped(text), core.get("urls"), "shortUrl", "expandedUrl")
    return Note(number, file, datetime.fromisoformat(time).timestamp(), text.strip(), _plain(text))


def post(number: int, file: str, value: dict[str, Any], notes: Notes) -> Post | None:
    """A post out of its record; None where it has no id or no text."""
    id_, raw = value.get("id_str", value.get("id")), value.get("full_text", value.get("text"))
    if not isinstance(id_, str) or _ID.fullmatch(id_) is None or not isinstance(raw, str):
        return None
    time = _created(value.get("created_at"))
    parent = _id(value.get("in_reply_to_status_id_str", value.get("in_reply_to_status_id")))
    text = _unescaped(raw)
    whole = notes.of(_without_mentions(text, value, parent), time) or notes.of(text, time)
    entities = [_dict(value.get("entities")), _dict(value.get("extended_entities"))]
    media = [medium for entity in entities for medium in _objects(entity.get("media"))]
    said = whole.text if whole else _expanded(text, entities[0].get("urls"), "url", "expanded_url")
    for medium in media:
        if isinstance(shown := medium.get("url"), str) and shown:
            said = said.replace(shown, "")
    said = _without_mentions(said, value, parent).strip()
    quoted = _QUOTED.search(said)
    return Post(
        number=number,
        file=file,
        id=id_,
        text=said,
        time=time,
        parent=parent,
        quotes=quoted[1] if quoted else None,
        versions=_versions(value, id_),
        retweet=raw.startswith("RT @"),
        cut=whole is None and (value.get("truncated") is True or (text.endswith("…") and _width(text) >= _CUT_FROM)),
        pictured=bool(media),
        note=whole,
    )


def _without_mentions(text: str, value: dict[str, Any], parent: str | None) -> str:
    """A reply without the names before it, which X puts there."""
    if parent is None or (names := _MENTIONS.match(text)) is None:
        return text
    shown = value.get("display_text_range")
    start = shown[0] if isinstance(shown, list) and shown else None
    if isinstance(start, str | int) and _ID.fullmatch(str(start)):
        # Where the range begins within the names, those after it were typed.
        return text[int(start) :] if 0 < int(start) <= names.end() else text
    return text.removeprefix(f"@{value.get('in_reply_to_screen_name')} ")


def _expanded(text: str, links: Any, short: str, long: str) -> str:
    """The text with the links that were typed in the place of t.co's."""
    for link in _objects(links):
        shown, meant = link.get(short), link.get(long)
        if isinstance(shown, str) and shown and isinstance(meant, str) and meant:
            text = text.replace(shown, meant)
    return text


def _unescaped(text: str) -> str:
    """The text without the three entities that X writes; others were typed."""
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _plain(text: str) -> str:
    return "".join(text.split())


def _begins(plain: str, pieces: Sequence[str]) -> bool:
    """Whether a text begins with these pieces; between them a note has its own way of writing the link."""
    end = len(pieces[0])
    if not plain.startswith(pieces[0]):
        return False
    for piece in pieces[1:]:
        at = plain.find(piece, end, end + _LONGEST_LINK + len(piece))
        if at == -1:
            return False
        end = at + len(piece)
    return True


def _width(text: str) -> int:
    return sum(2 if ord(character) > 0x10FF else 1 for character in text)


def _versions(value: dict[str, Any], id_: str) -> tuple[str, ...]:
    info = _dict(value.get("edit_info"))
    control = _dict(info.get("initial")) or _dict(_dict(info.get("edit")).get("editControlInitial"))
    ids = control.get("editTweetIds")
    return (*(known for given in (ids if isinstance(ids, list) else ()) if (known := _id(given))), id_)


def _created(raw: Any) -> str | None:
    """X's own way of writing a time ("Wed Mar 04 12:00:00 +0000 2026"), or ISO 8601, as ISO 8601 in UTC."""
    parts = _CREATED.fullmatch(raw) if isinstance(raw, str) else None
    if parts is None:
        return utc(raw)
    if parts[1] not in _MONTHS:
        return None
    return utc(f"{parts[6]}-{_MONTHS.index(parts[1]) + 1:02}-{parts[2]}T{parts[3]}{parts[4]}:{parts[5]}")


def _id(raw: Any) -> str | None:
    return raw if isinstance(raw, str) and _ID.fullmatch(raw) else None


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _objects(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
