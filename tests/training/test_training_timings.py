"""What training took is kept, beside what a plan had said of it."""

from pathlib import Path

import pytest

from locum.training.timings import Accuracy, Promise, Speed, Timing, accuracy, keep, promise, speed


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LOCUM_HOME", str(tmp_path))
    return tmp_path


def timing(seconds: float, base: str = "b") -> Timing:
    return Timing(base=base, device="cpu", dtype="float32", tokens=1000, seconds=seconds)


def test_nothing_is_known_before_the_first_training() -> None:
    assert speed("b") is None
    assert accuracy() is None


def test_speed_is_the_middle_of_past_trainings_of_that_base() -> None:
    for key, seconds in (("x", 10.0), ("y", 5.0), ("z", 2.0)):
        keep(key, timing(seconds))
    keep("other", timing(1.0, base="another"))
    assert speed("b") == Speed(200.0, 3)


def test_a_promise_is_held_against_what_happened() -> None:
    promise("x", Promise(1000, 8.0))
    promise("never done", Promise(1000, 1.0))
    promise("no time said", Promise(1000, None))
    for key in ("x", "no time said", "not planned"):
        keep(key, timing(10.0))
    assert accuracy() == Accuracy(1, 1.25)


def test_a_damaged_note_costs_nothing_but_itself(home: Path) -> None:
    keep("x", timing(10.0))
    (home / "timings" / "done" / "y.json").write_text("{")
    assert speed("b") == Speed(100.0, 1)
