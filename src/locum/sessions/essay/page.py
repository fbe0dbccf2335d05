"""A Markdown file taken apart: front matter, title, and blocks of lines that belong together."""

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from locum.sessions.jsonl import BOM, utc

Kind = Literal["prose", "heading", "list", "code", "break", "other"]

_FENCE = re.compile(r"\s{0,3}(?:`{3,}|~{3,})")
_HEADING = re.compile(r"#{1,6}\s+\S")
_BREAK = re.compile(r"\s{0,3}(?:(?:-\s*){3,}|(?:\*\s*){3,}|(?:_\s*){3,})\Z")
_LISTED = re.compile(r"\s*(?:[-*+]|\d{1,3}[.)])\s+\S")
_NO_PROSE = re.compile(r"\s*(?:\||<[a-zA-Z!/]|!\[|\[!\[|>|\[[^\]]{1,99}\]:\s)|(?: {4}|\t)\S")
"""How lines begin that are tables, HTML, images, badges, quotations, definitions of links, or code."""
_KEY = re.compile(r"([\w-]+)\s*[:=]\s*(.*)")
_DATES = ("date", "published", "created", "pubdate", "publish_date", "published_at")
_LONGEST_TITLE = 200


class Line(msgspec.Struct, frozen=True):
    """A line without the white space after it."""

    number: int
    text: str
    bad: bool = False
    """It is no UTF-8."""


class Block(msgspec.Struct):
    """A paragraph, a heading, a list, a break, fenced code, or something else."""

    kind: Kind
    lines: list[Line]

    @property
    def text(self) -> str:
        """Its lines."""
        return "\n".join(line.text for line in self.lines)


class Page(msgspec.Struct):
    """What a file holds."""

    matter: dict[str, str] = {}
    """Front matter, keys in lower case."""
    matter_lines: list[Line] = []
    blocks: list[Block] = []
    """The body without its title."""
    blanks: list[Line] = []
    """Blank lines that are no part of a block."""
    heading: Block | None = None
    """The heading that the body begins with, where it is one of the first level."""

    @property
    def title(self) -> str:
        """The title in the front matter, else that heading, else nothing."""
        named = self.matter.get("title", "")
        heading = heading_text(self.heading) if self.heading is not None else ""
        return (named or heading)[:_LONGEST_TITLE].strip()

    @property
    def date(self) -> str | None:
        """When it was written, by its front matter."""
        return next((time for key in _DATES if (time := utc(self.matter.get(key)))), None)


def heading_text(block: Block) -> str:
    """A heading without its marks."""
    return block.text.strip("# \t")


def lines_of(raw: Iterable[bytes]) -> Iterator[Line]:
    """Lines out of their bytes, numbered from 1."""
    for number, line in enumerate(raw, 1):
        line = (line.removeprefix(BOM) if number == 1 else line).rstrip()
        try:
            yield Line(number, line.decode())
        except UnicodeDecodeError:
            yield Line(number, line.decode(errors="replace"), bad=True)


def read_page(path: Path) -> Page:
    """Read a file.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return page_of(list(lines_of(file)))


def page_of(lines: Sequence[Line]) -> Page:
    """Take a file apart; every line of it is in exactly one place of the page."""
    page = Page()
    at = 0
    while at < len(lines) and not lines[at].text.strip():
        page.blanks.append(lines[at])
        at += 1
    after = _end_of_matter(lines, at)
    page.matter_lines = list(lines[at:after])
    for line in page.matter_lines:
        if pair := _KEY.match(line.text):
            page.matter.setdefault(pair[1].lower(), pair[2].strip().strip("\"'"))
    _take_apart(lines[after:], page)
    if page.blocks and page.blocks[0].kind == "heading" and page.blocks[0].text.startswith("# "):
        page.heading = page.blocks.pop(0)
    return page


def _end_of_matter(lines: Sequence[Line], at: int) -> int:
    """Where the front matter that begins at a line ends; `at` itself where there is none."""
    mark = lines[at].text.strip() if at < len(lines) else ""
    if mark in ("---", "+++"):
        for end in range(at + 1, len(lines)):
            if lines[end].text.strip() == mark:
                return end + 1
    return at


def _take_apart(lines: Sequence[Line], page: Page) -> None:
    fence = ""
    block: Block | None = None
    for line in lines:
        text = line.text
        if fence and block is not None:
            block.lines.append(line)
            if (mark := text.strip()).startswith(fence) and not mark.strip(fence[0]):
                fence, block = "", None
        elif not text.strip():
            page.blanks.append(line)
            block = None
        elif opening := _FENCE.match(text):
            fence, block = opening[0].strip(), Block("code", [line])
            page.blocks.append(block)
        elif _HEADING.match(text) or _BREAK.match(text):
            page.blocks.append(Block("heading" if text.startswith("#") else "break", [line]))
            block = None
        elif block is not None:
            block.lines.append(line)
        else:
            kind: Kind = "list" if _LISTED.match(text) else "other" if _NO_PROSE.match(text) else "prose"
            block = Block(kind, [line])
            page.blocks.append(block)
