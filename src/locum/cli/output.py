"""What the user sees: progress and text, one JSON object on request, one line for an error."""

import errno
import os
import re
import sys
import time
import traceback
from types import TracebackType
from typing import Annotated, Any, Self

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from locum.errors import LocumError, MismatchError

Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout; everything else on stderr.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Say nothing but the result and errors.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]

_TRAIN_EXTRA = (
    "torch", "transformers", "peft", "safetensors", "gguf", "xllamacpp", "ollama", "httpx", "psutil", "sklearn",
)  # fmt: skip
_SHOW_AFTER = 1.0
_LINE_EVERY = 15.0
# A terminal obeys some characters; out of a log or a model they are shown instead.
_VISIBLE = {code: 0x2400 + code for code in range(32) if chr(code) not in "\n\t"} | dict.fromkeys(
    (*range(127, 160), *range(0x202A, 0x202F), *range(0x2066, 0x206A)), "\N{REPLACEMENT CHARACTER}"
)


def printable(text: str) -> str:
    """`text` with nothing in it that moves a cursor, sets a colour, turns the writing round or rings a bell."""
    return text.translate(_VISIBLE)


class Output:
    """A verb's voice, used as `with Output(...) as out:`; leaves with the right exit code on any error.

    Args:
        json: collect for one JSON object on stdout; text goes to stderr.
        quiet: no progress and no text.
        debug: show tracebacks.
    """

    def __init__(self, *, json: bool, quiet: bool, debug: bool) -> None:
        self.json, self.quiet, self.debug = json, quiet, debug
        self._text = Console(stderr=json, highlight=False, soft_wrap=True, emoji=False)
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._begun: dict[str, tuple[float, int]] = {}
        self._last_line = 0.0

    def say(self, text: str = "", style: str | None = None) -> None:
        """Print a line for a person. Text is never read as markup: it may come out of a log."""
        if not self.quiet:
            self._text.print(printable(text), style=style, markup=False)

    def answer(self, text: str, end: str = "") -> None:
        """Print a piece of what was asked for, as it comes."""
        print(printable(text), end=end, file=sys.stderr if self.json else sys.stdout, flush=True)

    def result(self, value: Any) -> None:
        """Print the JSON object, where one was asked for."""
        if self.json:
            # As bytes: JSON is UTF-8 whatever the terminal speaks.
            sys.stdout.buffer.write(msgspec.json.encode(value) + b"\n")
            sys.stdout.buffer.flush()

    def progress(self, work: str, done: int, total: int, note: str = "") -> None:
        """A `locum.progress.Progress`: a bar on a terminal, now and then a line elsewhere."""
        if self.quiet:
            return
        now = time.monotonic()
        begun, before = self._begun.setdefault(work, (now, done))
        if not sys.stderr.isatty():
            if now - max(begun, self._last_line) > _LINE_EVERY or (done >= total and now - begun > _SHOW_AFTER):
                self._last_line = now
                left = _left(now - begun, done - before, total - done)
                said = f"{work}: {done:,} of {total:,}" + (f", {note}" if note else "")
                print(printable(said + left), file=sys.stderr, flush=True)
        else:
            self._bar(work, done, total, printable(note))
        if done >= total:
            self._begun.pop(work, None)

    def _bar(self, work: str, done: int, total: int, note: str) -> None:
        if self._bars is None:
            columns = (
                TextColumn("{task.description}"),
                BarColumn(bar_width=24),
                TextColumn("{task.completed:.0f}/{task.total:.0f}"),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.fields[note]}", markup=False),
            )
            self._bars = Progress(*columns, console=Console(stderr=True), transient=True)
            self._bars.start()
        if work not in self._tasks:
            self._tasks[work] = self._bars.add_task(work, total=total, note=note)
        self._bars.update(self._tasks[work], completed=done, total=total, note=note)
        if done >= total:
            self._bars.remove_task(self._tasks.pop(work))
        if not self._tasks:
            self._stop_bars()  # lines printed between two bars would run into each other

    def _stop_bars(self) -> None:
        if self._bars is not None:
            self._bars.stop()
            self._bars = None
            self._tasks.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop_bars()
        if error is None or isinstance(error, typer.Exit | typer.BadParameter | SystemExit | BrokenPipeError):
            return
        if self.debug:
            traceback.print_exception(error)
        print(f"error: {printable(describe(error))}", file=sys.stderr, flush=True)
        raise typer.Exit(30 if isinstance(error, MismatchError) else 1) from None


def _left(seconds: float, done: int, to_do: int) -> str:
    """What remains at the pace so far, as `, 2:05 left`; nothing where that is nought or unknown."""
    if done <= 0 or to_do <= 0:
        return ""
    minutes, rest = divmod(round(seconds / done * to_do), 60)
    return f", {minutes}:{rest:02} left"


def describe(error: BaseException) -> str:
    """One line for any error: what is wrong, the offending value, what to do."""
    if isinstance(error, LocumError):
        return " ".join(str(error).split())
    if isinstance(error, KeyboardInterrupt):
        return "interrupted; nothing is lost: the same command goes on from here"
    if _is_disk_full(error):
        return "the disk is full; free some space and give the same command again: it goes on from here"
    if isinstance(error, OSError) and error.filename:
        return f"{error.strerror or type(error).__name__}: {error.filename}"
    if isinstance(error, ModuleNotFoundError) and error.name in _TRAIN_EXTRA:
        return f"this verb needs the package {error.name!r}, which is not installed: pip install 'locum[train]'"
    if isinstance(error, MemoryError):
        return "out of memory; choose a smaller base, or a smaller --context-chars"
    text = " ".join(str(error).split())[:300]
    return (
        f"unexpected {type(error).__name__}: {text}; this is a defect: give the command again with --debug to see where"
    )


_WRITTEN_SHORT = re.compile(r"\d+ requested and \d+ written")
"""What numpy says where an array found no room."""


def _is_disk_full(error: BaseException | None) -> bool:
    """Whether it comes from a full disk, which the libraries that write weights and tables put into words only."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return True
        if any(os.strerror(code) in str(error) for code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)):
            return True
        if isinstance(error, OSError) and _WRITTEN_SHORT.fullmatch(str(error)):
            return True
        error = error.__cause__ or error.__context__
    return False


def count(number: int, noun: str) -> str:
    """`1 row`, `12 rows`, `1,204 rows`."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
