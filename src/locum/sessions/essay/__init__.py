"""Essays: Markdown files of running prose, as agents keep them in a folder or on a blog.

`detection` says which files are taken for essays, `page` takes one apart. An essay is one session of posts without a
prompt. A short one is one post; a longer one is cut before headings, at thematic breaks, and between paragraphs where
a section is long itself, so that each post fits the budget of a response. The first post begins with the title. All
that is in the file is taken for the agent's own. Records are the file's lines.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from locum.sessions.chat_messages import lineage_of
from locum.sessions.essay.detection import is_essay
from locum.sessions.essay.page import Block, Page, heading_text, lines_of, page_of, read_page
from locum.sessions.jsonl import cut_line
from locum.sessions.ledger import Ledger
from locum.sessions.reader import FileReading
from locum.types import Message, Session

_POST = 2400
"""Characters above which an essay is cut: well below the budget of a response."""
_SHORT = 200
"""Characters below which a section goes with the one after it."""
_STARTS = (b"---", b"+++", b"# ")


class Essay:
    """Reader of essays."""

    name = "essay"

    def detects(self, head: bytes, path: Path) -> bool:
        """A title over running prose that instructs nobody."""
        if not head.lstrip().startswith(_STARTS) or b"\0" in head:
            return False
        lines = list(lines_of(head.removesuffix(cut_line(head)).split(b"\n")))
        return not any(line.bad for line in lines) and is_essay(page_of(lines))

    def read(self, path: Path) -> FileReading:
        """One session; none where the file holds nothing but a title."""
        ledger = Ledger(path)
        page = read_page(path)
        posts = list(_posts(page.blocks))
        _account(page, posts, ledger)
        sessions = [_session(path, page, posts)] if posts else []
        return FileReading(str(path), self.name, tuple(sessions), ledger.lines())


def _session(path: Path, page: Page, posts: Sequence[Sequence[Block]]) -> Session:
    messages = []
    for at, post in enumerate(posts):
        title = [f"# {page.title}"] if at == 0 and page.title else []
        bad = any(line.bad for block in post for line in block.lines)
        messages.append(
            Message(
                "assistant",
                "\n\n".join([*title, *(block.text for block in post)]),
                origin="agent",
                time=page.date,
                signals=("unreadable",) if bad else (),
            )
        )
    return Session(
        id=path.stem,
        lineage=lineage_of(Essay.name, [msgspec.structs.replace(messages[0], time=None)]),
        format=Essay.name,
        source=str(path),
        messages=tuple(messages),
        started=page.date,
    )


def _account(page: Page, posts: Sequence[Sequence[Block]], ledger: Ledger) -> None:
    """Take down every line."""
    for line in page.blanks:
        ledger.noise(line.number, "blank")
    for line in page.matter_lines:
        ledger.noise(line.number, "front matter")
    if page.heading is not None:
        (line,) = page.heading.lines
        shown = bool(posts) and heading_text(page.heading) == page.title and not line.bad
        if shown:
            ledger.used(line.number)
        else:
            ledger.noise(line.number, "title")
    for block in page.blocks:
        if block.kind == "break":
            ledger.noise(block.lines[0].number, "break")
    for post in posts:
        for block in post:
            for line in block.lines:
                if line.bad:
                    ledger.bad(line.number, "not UTF-8")
                else:
                    ledger.used(line.number)


def _posts(blocks: Sequence[Block]) -> Iterator[list[Block]]:
    """The blocks post by post."""
    whole = [block for block in blocks if block.kind != "break"]
    if sum(map(_size, whole)) <= _POST:
        if whole:
            yield whole
        return
    post: list[Block] = []
    length = 0
    for section in _sections(blocks):
        size = sum(map(_size, section))
        if post and (length >= _SHORT or length + size > _POST):
            yield post
            post, length = [], 0
        for block in section:
            # A heading is never the last of a post.
            if post and post[-1].kind != "heading" and length + _size(block) > _POST:
                yield post
                post, length = [], 0
            post.append(block)
            length += _size(block)
    if post:
        yield post


def _sections(blocks: Sequence[Block]) -> Iterator[list[Block]]:
    """The blocks between thematic breaks and before headings."""
    section: list[Block] = []
    told = False  # whether there is more than headings in it
    for block in blocks:
        if section and (block.kind == "break" or (block.kind == "heading" and told)):
            yield section
            section, told = [], False
        if block.kind != "break":
            section.append(block)
            told = told or block.kind != "heading"
    if section:
        yield section


def _size(block: Block) -> int:
    return len(block.text) + 2
