"""A landscape that is known: an agent of one voice whose decisions are drawn by chance. By real training, its manner
falls, and its decisions are never called learned, since nothing in a prompt predicts them."""

from pathlib import Path

import pytest

from locum.dataset.extract import extract
from locum.dataset.store import encode_row, read_rows
from locum.evaluation.anatomy.measure import AnatomyOptions, measure
from locum.sessions.scripted import write_sessions
from locum.training.backend import TrainOptions
from locum.training.base import Base
from locum.training.chat_template import Renderer
from locum.training.loop import train
from locum.types import Row

STYLE = ("all", "function_word", "other")
"""Classes in which the manner lies."""


def drawn_by_chance(folder: Path, seed: int, sessions: int) -> list[Row]:
    write_sessions(folder / "projects", sessions, seed, chance=True)
    extract([str(folder / "projects")], folder / "dataset")
    return [row for split in ("train", "valid", "test") for row in read_rows(folder / "dataset", split)]


@pytest.mark.slow
def test_manner_falls_and_chance_is_never_learned(small_base: Base, tmp_path: Path) -> None:
    run = tmp_path / "run"
    splits = {"train": drawn_by_chance(tmp_path / "seen", 1, 40), "valid": [], "test": []}
    splits["test"] = [row for row in drawn_by_chance(tmp_path / "unseen", 99, 40) if row.family != "post"]
    (run / "dataset").mkdir(parents=True)
    for split, rows in splits.items():
        (run / "dataset" / f"{split}.jsonl").write_bytes(b"".join(encode_row(row) + b"\n" for row in rows))
    train(splits["train"], [], small_base, run, TrainOptions(max_steps=48, patience=0))
    found = measure(
        run, small_base, Renderer(small_base.folder), AnatomyOptions(rows=66, train_rows=2, strengths=(1.0,))
    )
    parts = {part.response.name: part.response for part in found.classes}
    choices = {part.response.name: part.response for part in found.choices}
    for response in (*parts.values(), *choices.values()):
        print(response.name, response.label, f"{response.first:.2f} -> {response.last:.2f};", response.why)
    assert all(parts[name].label in ("valley", "slope") for name in STYLE)
    # Words still fall after 48 steps; the form of a call is settled by then.
    assert parts["json_syntax"].label == "valley"
    judged = [response for response in choices.values() if response.tokens >= 20]
    assert len(judged) >= 2, "a family with fewer decisions carries no label at all"
    assert not [response.name for response in judged if response.label in ("valley", "slope")]
