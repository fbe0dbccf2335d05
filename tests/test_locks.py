"""Two writers of one folder are kept apart, and one that was killed is in nobody's way."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from command import Command

from locum.errors import RunError
from locum.locks import writing

HOLD = """
import sys
from pathlib import Path
from locum.locks import writing
with writing(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that writes into `tmp_path`/taken."""
    monkeypatch.setenv("LOCUM_HOME", str(Command(tmp_path).home))
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path / "taken")], **pipes) as process:  # type: ignore[call-overload]
        assert process.stdout.readline() == b"held\n"
        yield process
        process.kill()


def test_a_second_writer_is_refused_however_the_folder_is_called(
    tmp_path: Path, held: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other").symlink_to(tmp_path / "taken")
    monkeypatch.chdir(tmp_path)
    for name in (tmp_path / "taken", Path("taken"), tmp_path / "other"):
        with pytest.raises(RunError, match="another locum command is writing into"), writing(tmp_path / "free", name):
            pass
    with writing(tmp_path / "free"):  # what was held on the way to a refusal is let go
        pass
    assert not (tmp_path / "taken").exists()


def test_a_killed_writer_leaves_no_lock(tmp_path: Path, held: subprocess.Popen[bytes]) -> None:
    held.send_signal(signal.SIGKILL)
    held.wait(timeout=60)
    with writing(tmp_path / "taken"):
        pass


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "logs", "--name", "x", "--out", "taken"),
        ("extract", "logs", "--out", "taken"),
        ("train", "data", "--out", "taken"),
        ("export", "taken"),
        ("evaluate", "taken"),
        ("evaluate", "taken", "--rescore"),
        ("anatomy", "taken"),
    ],
    ids=lambda arguments: " ".join(arguments[:1] + arguments[2:3]),
)
def test_every_verb_that_writes_a_folder_for_long_asks(
    tmp_path: Path, held: subprocess.Popen[bytes], arguments: tuple[str, ...]
) -> None:
    command = Command(tmp_path)
    refused = command(*arguments)
    assert refused.error == (
        "error: another locum command is writing into 'taken' now: wait until it has ended, or give another folder"
    )
    assert not (tmp_path / "taken").exists()
