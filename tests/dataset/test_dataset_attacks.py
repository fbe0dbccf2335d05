"""Logs, kept readings and salts that somebody forged or damaged."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from locum import home
from locum.dataset.extract import Extraction, extract
from locum.errors import DatasetError

MAIL = "ada.byron@" + "corp-mail.org"
FORGED = "\ufdd0EMAIL:" + "a" * 64 + "\ufdd0"
WORDS = (
    "The invoice of march lacks the second page, so what do we tell them?",
    "Which of the two ports is it?",
    "Why?",
)


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LOCUM_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def chat(question: str, answer: str, **more: object) -> dict[str, object]:
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}], **more}


def extracted(tmp_path: Path, *records: object) -> Extraction:
    log = tmp_path / "log.jsonl"
    if records:
        log.write_bytes(b"".join(msgspec.json.encode(record) + b"\n" for record in records))
        os.utime(log, (1, 1))  # long settled
    return extract([log], tmp_path / "out")


def test_names_that_a_log_gives_to_kinds_and_models_are_redacted(tmp_path: Path, own_home: Path) -> None:
    log = tmp_path / "s.jsonl"
    said = {
        "role": "assistant",
        "id": "m",
        "model": f"claude {MAIL}",
        "content": [{"type": "text", "text": "Page two."}],
    }
    lines: list[dict[str, object]] = [
        {"type": "user", "uuid": "u", "message": {"role": "user", "content": WORDS[0]}},
        {"type": "assistant", "uuid": "a", "parentUuid": "u", "message": said},
        {"type": MAIL, "uuid": "x"},
        {"type": "system", "subtype": MAIL, "uuid": "y"},
    ]
    whole = [{**line, "sessionId": "s", "timestamp": "2026-01-01T00:00:00Z"} for line in lines]
    log.write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in whole))
    stats = extract([log], tmp_path / "out", allow_terms=["anthropic"]).stats
    assert sum(stats.unknown.values()) == 2
    written = [path for path in (*(tmp_path / "out").rglob("*"), *own_home.rglob("*")) if path.is_file()]
    assert not [path for path in written if MAIL.encode() in path.read_bytes()]


def test_no_name_in_a_log_can_write_a_mark(tmp_path: Path) -> None:
    call = {"id": f"c{FORGED}", "type": "function", "function": {"name": f"t{FORGED}", "arguments": {FORGED: FORGED}}}
    record = chat(WORDS[0], "It lacks page two.", model=f"m{FORGED}")
    record["messages"] += [  # type: ignore[operator]
        {"role": "user", "content": "Look it up."},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": f"c{FORGED}", "content": "It is there."},
    ]
    extracted(tmp_path, record, chat(f"Write to {MAIL}.", "I have written."))
    assert "a" * 64 not in (tmp_path / "out.redactions.json").read_text()
    rows = b"".join(path.read_bytes() for path in (tmp_path / "out").glob("*.jsonl"))
    assert b"<EMAIL_1>" in rows
    assert b"<EMAIL_2>" not in rows


@pytest.mark.parametrize("damage", ["cut", "zeroed"])
def test_a_damaged_reading_is_one_line_and_the_next_time_the_log_is_read(
    tmp_path: Path, own_home: Path, damage: str
) -> None:
    before = extracted(tmp_path, chat(WORDS[0], "Page two."))
    (reading,) = own_home.rglob("*.reading")
    raw = reading.read_bytes()
    reading.write_bytes(raw[:-40] if damage == "cut" else raw[:-40] + bytes(40))
    with pytest.raises(DatasetError, match="damaged and is removed"):
        extracted(tmp_path)
    assert extracted(tmp_path).stats == before.stats


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"abc"])
def test_a_damaged_salt_is_refused(own_home: Path, content: bytes) -> None:
    salt = home.salt()
    assert home.salt() == salt
    (own_home / "salt").write_bytes(content)
    with pytest.raises(DatasetError, match="damaged: remove it"):
        home.salt()


def test_a_split_that_near_duplicates_emptied_is_not_said_to_be_one_conversation(tmp_path: Path) -> None:
    long = " ".join(f"word{number}" for number in range(60))
    stats = extracted(tmp_path, chat(long, long), chat(WORDS[1], "The first."), chat(long, f"{long} z")).stats
    assert stats.splits == {"train": 1, "valid": 1, "test": 0}
    assert (
        "Too few conversations that differ (rows: train 1, valid 1, test 0): there is nothing to test on."
        in stats.notes
    )


def test_the_folder_that_one_stands_in_is_not_exchanged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "out").mkdir()
    log = tmp_path / "log.jsonl"
    log.write_bytes(msgspec.json.encode(chat(WORDS[0], "Page two.")))
    monkeypatch.chdir(tmp_path / "out")
    with pytest.raises(DatasetError, match="the folder you are in"):
        extract([log], Path())


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_workers_end_with_a_killed_parent(tmp_path: Path) -> None:
    script = tmp_path / "work.py"
    script.write_text(
        "import os, time\nfrom locum.parallel import Processes\n"
        "def worker(_):\n    time.sleep(0.01)\n    return os.getpid()\n"
        "if __name__ == '__main__':\n    with Processes(1) as each:\n"
        "        for process in each(worker, range(10**6)):\n"
        "            if process != os.getpid():\n                print(process, flush=True)\n"
    )
    parent = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    worker = int(parent.stdout.readline())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    until = time.monotonic() + 10
    while _runs(worker) and time.monotonic() < until:
        time.sleep(0.05)
    assert not _runs(worker)


def _runs(process: int) -> bool:
    try:
        stat = Path(f"/proc/{process}/stat").read_text() if Path("/proc").is_dir() else ""
        os.kill(process, 0)
    except (ProcessLookupError, FileNotFoundError):
        return False
    return ") Z " not in stat  # where nobody reaps it, it stays as a zombie
