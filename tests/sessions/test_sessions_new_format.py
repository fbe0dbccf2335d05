"""The example of docs/formats.md is a reader, as it stands there."""

import re
from pathlib import Path
from typing import Any

import pytest

from locum.progress import silent
from locum.sessions import read_sources, registry
from locum.sessions.reader import Reader

DOCS = Path(__file__).parents[2] / "docs" / "formats.md"


def example() -> Reader:
    [code] = re.findall(r"```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    defined: dict[str, Any] = {"__name__": "notes"}
    exec(compile(code, str(DOCS), "exec"), defined)
    reader: Reader = defined["Notes"]()
    return reader


def test_the_documented_example_reads_and_accounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "monday.jsonl"
    lines = [
        '{"asked": "How is it?", "said": "Fine.", "at": "2026-03-01T10:00:00Z"}',
        "",
        '{"said": 7}',
        '{"said": "Still fine."}',
        '{"said": "cut',
    ]
    log.write_text("\n".join(lines))
    inner = registry.readers
    monkeypatch.setattr("locum.sessions.read.readers", lambda agents: (example(), *inner(agents)))
    reading = read_sources([log], silent)
    assert reading.formats == {"notes": 1}
    [session] = reading.sessions
    assert [(message.origin, message.content) for message in session.messages] == [
        ("human", "How is it?"), ("agent", "Fine."), ("agent", "Still fine."),
    ]  # fmt: skip
    assert (reading.lines.total, reading.lines.used, reading.lines.noise) == (5, 2, {"blank": 1})
    assert [bad.line for bad in reading.lines.bad] == [3, 5]


def test_other_logs_are_not_taken_for_it(tmp_path: Path) -> None:
    assert not example().detects(b'{"type": "user", "message": {}}\n', tmp_path)
    assert not example().detects(b"# notes", tmp_path)
