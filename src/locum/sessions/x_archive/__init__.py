"""X archives (Twitter archives): what the agent posted, one session a thread.

`data/tweets.js` with its further parts, and `data/note-tweet.js` beside it, which holds the whole text of long posts.
`records` opens the files, `posts` says what a post holds. A thread is a post with everything of the archive that
replies to it, directly or not, in the order of time; a single post is a thread of one. It belongs to the file of its
first post, also where it goes on in another part. Records are counted instead of lines: one a post or note.

`tweets.js` is verified against the shape of a real archive. Assumed: a note belongs to the post of the same minute
that its text begins with; long posts that end in an ellipsis and have no note are cut; a post that ends with the link
of a post that is not in the archive quotes it. What answers or quotes something that is not in the archive is
`unreadable`, and so is what follows an answer in its thread.
"""

import errno
from collections.abc import Iterator, Sequence
from pathlib import Path

from locum.sessions.jsonl import BOM
from locum.sessions.ledger import Ledger
from locum.sessions.reader import FileReading
from locum.sessions.x_archive.posts import Note, Notes, Post, note, post
from locum.sessions.x_archive.records import Kind, kind_of_file, parts_beside, read_items
from locum.types import Message, Session, Signal

_HEAD = 256


class XArchive:
    """Reader of the posts in an X archive."""

    name = "x_archive"

    def detects(self, head: bytes, path: Path) -> bool:
        """The line with which every file of an archive begins, also those that must not be read: `read` says so."""
        return kind_of_file(head) is not None

    def read(self, path: Path) -> FileReading:
        """One session a thread; a file of notes holds none, its texts stand in those of the tweets beside it.

        Raises:
            OSError: the file cannot be read, or holds something else than posts.
        """
        with path.open("rb") as file:
            kind = kind_of_file(file.read(_HEAD).removeprefix(BOM))
        if kind == "other":
            raise PermissionError(
                errno.EACCES, "of an X archive only tweets and note-tweets are read, never messages or account data"
            )
        ledger = Ledger(path)
        files = {of: _parts(path, of, kind or "tweets") for of in ("tweets", "notes")}
        archive = _Archive(files["tweets"], files["notes"])
        archive.account(str(path), kind or "tweets", ledger)
        sessions = () if kind == "notes" else tuple(archive.sessions(str(path), ledger, self.name))
        beside = (str(path.parent), *(str(part) for parts in files.values() for part in parts if part != path))
        return FileReading(str(path), self.name, sessions, ledger.lines(), beside)


def _parts(path: Path, of: Kind, own: Kind) -> list[Path]:
    """The files of a kind that belong together with a file, itself among them under whatever name it has."""
    parts = parts_beside(path, of)
    return [*parts, path] if of == own and path not in parts else parts


class _Archive:
    """All posts of an archive, and the threads that they make."""

    def __init__(self, tweets: Sequence[Path], notes: Sequence[Path]) -> None:
        self._notes: dict[tuple[str, int], Note] = {}
        self._bad: dict[tuple[str, int], str] = {}
        self._no_note: set[tuple[str, int]] = set()
        for path in notes:
            for number, value, bad in read_items(path, "noteTweet"):
                found = note(number, str(path), value) if value is not None else None
                if found is not None:
                    self._notes[found.file, number] = found
                elif value is None:
                    self._bad[str(path), number] = bad
                else:
                    self._no_note.add((str(path), number))
        index = Notes(self._notes.values())
        self._fates: dict[tuple[str, int], str] = {}
        """Where a tweet is noise: why."""
        self._posts: dict[str, Post] = {}
        for path in tweets:
            for number, value, bad in read_items(path, "tweet"):
                own = post(number, str(path), value, index) if value is not None else None
                if own is None:
                    self._bad[str(path), number] = bad or "a tweet without id and text"
                elif own.retweet:
                    self._fates[own.file, number] = "retweet"
                elif own.id in self._posts:
                    self._fates[own.file, number] = "copy"
                else:
                    self._posts[own.id] = own
        self._last = self._merge_edits()
        self._threads = self._group()

    def account(self, file: str, kind: Kind, ledger: Ledger) -> None:
        """Take down the records of a file that are in no session; of a file of notes also those that are."""
        for (of, number), reason in self._bad.items():
            if of == file:
                ledger.bad(number, reason)
        if kind == "notes":
            taken = {(own.note.file, own.note.number) for own in self._posts.values() if own.note is not None}
            for of, number in self._notes:
                if of == file and (of, number) in taken:
                    ledger.used(number)
                elif of == file:
                    ledger.noise(number, "note without its tweet")
            for of, number in self._no_note:
                if of == file:
                    ledger.unknown(number, "note without text and time")
        else:
            for (of, number), why in self._fates.items():
                if of == file:
                    ledger.noise(number, why)
            for own in self._posts.values():
                if own.file == file:
                    ledger.used(own.number)

    def sessions(self, file: str, ledger: Ledger, format_name: str) -> Iterator[Session]:
        """The threads that begin in a file."""
        for thread in self._threads:
            if thread[0].file != file:
                continue
            yield Session(
                id=thread[0].id,
                lineage=f"{format_name}:{thread[0].id}",
                format=format_name,
                source=file,
                messages=tuple(self._messages(thread)),
                started=thread[0].time,
            )

    def _merge_edits(self) -> dict[str, str]:
        """Keep the last version of every post; returns every known id -> the id of its last version."""
        last: dict[str, str] = {}
        for own in self._posts.values():
            for version in own.versions:
                last[version] = max(last.get(version, own.id), own.id, key=int)
        for id_ in [id_ for id_ in self._posts if last[id_] != id_]:
            own = self._posts.pop(id_)
            self._fates[own.file, own.number] = "edited later"
        return last

    def _group(self) -> list[list[Post]]:
        """The threads, each in the order of time, by their first post."""
        roots: dict[str, str] = {}
        for id_ in self._posts:
            chain: dict[str, None] = {}
            at = id_
            while at not in roots and at not in chain:
                chain[at] = None
                at = self._above(self._posts[at]) or at
            # A post that replies to none of these is a root; a circle, which X does not make, has one nevertheless.
            root = roots.get(at, at)
            roots.update(dict.fromkeys(chain, root))
        threads: dict[str, list[Post]] = {}
        for own in sorted(self._posts.values(), key=lambda own: own.order):
            threads.setdefault(roots[own.id], []).append(own)
        return list(threads.values())

    def _above(self, own: Post) -> str | None:
        """The post of this archive that a post replies to."""
        above = self._last.get(own.parent) if own.parent is not None else None
        return above if above in self._posts and above != own.id else None

    def _messages(self, thread: Sequence[Post]) -> Iterator[Message]:
        """The posts of a thread; all of them lean on what its first one replies to."""
        leaning = any(own.parent is not None and self._above(own) is None for own in thread)
        for own in thread:
            signals: list[Signal] = ["truncated"] if own.cut else []
            quoting = own.quotes is not None and self._last.get(own.quotes) not in self._posts
            if leaning or quoting or (own.pictured and not own.text):
                signals.append("unreadable")
            yield Message("assistant", own.text, origin="agent", id=own.id, time=own.time, signals=tuple(signals))
