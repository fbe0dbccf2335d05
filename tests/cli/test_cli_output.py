"""What reaches the terminal: nothing that it obeys, one line for an error, progress where nobody watches."""

import errno
import sys
from pathlib import Path

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from locum.cli.output import Output, describe, printable
from locum.errors import RunError


@given(st.text())
def test_printable_text_keeps_its_length_and_every_harmless_character(text: str) -> None:
    shown = printable(text)
    assert len(shown) == len(text)
    assert not any((ord(c) < 32 and c not in "\n\t") or 127 <= ord(c) < 160 for c in shown)
    assert all(a == b for a, b in zip(text, shown, strict=True) if a.isprintable() or a in "\n\t")


@pytest.mark.parametrize("evil", ["\x1b[31m", "\x9b31m", "\a", "\b", "\r", "\x1b]0;title\x07", "\u202e"])
def test_a_log_moves_no_cursor(evil: str, capsys: pytest.CaptureFixture[str]) -> None:
    def speak() -> None:
        with Output(json=False, quiet=False, debug=False) as voice:
            voice.say(f"a{evil}b")
            voice.answer(f"a{evil}b")
            raise RunError(f"a{evil}b")

    with pytest.raises(typer.Exit):
        speak()
    out, err = capsys.readouterr()
    assert evil not in out + err


def test_what_looks_like_markup_is_shown_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    with Output(json=False, quiet=False, debug=False) as voice:
        voice.say("[red]x[/red] :warning: [/]")
    assert capsys.readouterr().out == "[red]x[/red] :warning: [/]\n"


def test_every_error_is_one_line() -> None:
    assert describe(RunError("two\nlines")) == "two lines"
    assert "interrupted" in describe(KeyboardInterrupt())
    assert describe(PermissionError(errno.EACCES, "Permission denied", "/x")) == "Permission denied: /x"
    assert describe(ValueError("a\nb")).startswith("unexpected ValueError: a b; ")
    assert "--context-chars" in describe(MemoryError())


def test_a_full_disk_is_recognised_however_it_is_put() -> None:
    full = OSError(errno.ENOSPC, "No space left on device", "/x")
    wrapped = RuntimeError("enforce fail at inline_container.cc")
    wrapped.__context__ = full
    told = ValueError("Error while serializing: I/O error: No space left on device (os error 28)")
    for error in (full, wrapped, told, OSError(errno.EFBIG, "File too large")):
        assert describe(error).startswith("the disk is full; free some space")


def test_long_work_says_where_it_is_when_nobody_watches(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 100.0
    monkeypatch.setattr("locum.cli.output.time.monotonic", lambda: now)
    voice, silent = (Output(json=False, quiet=quiet, debug=False) for quiet in (False, True))
    for done in range(41):
        voice.progress("train", done, 40, f"loss {done}")
        silent.progress("train", done, 40)
        now += 1.0
    voice.progress("quick", 0, 1)
    voice.progress("quick", 1, 1)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "train: 16 of 40, loss 16, 0:24 left",
        "train: 32 of 40, loss 32, 0:08 left",
        "train: 40 of 40, loss 40",
    ]


def test_a_terminal_is_handed_back_as_it_was(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with Output(json=False, quiet=False, debug=False) as voice:
        voice.progress("a", 0, 2)
        voice.progress("b", 0, 1)
        voice.progress("b", 1, 1)
        assert voice._bars is not None
        voice.progress("a", 2, 2)
        assert voice._bars is None, "what is said next must not run into a bar"
        voice.progress("c", 0, 2)
    assert voice._bars is None
