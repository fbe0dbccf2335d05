"""Canaries are planted where they are asked for, and only there."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from small_models import row, says, user

from locum import files
from locum.cli import stages
from locum.dataset.canaries import Canary, make_canaries
from locum.dataset.store import encode_row
from locum.progress import silent
from locum.training.backend import TrainOptions
from locum.types import Row


@pytest.fixture
def trained_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Row]:
    """The rows that training is given, in place of training."""
    given: list[Row] = []

    def train(rows: list[Row], *_: Any, **__: Any) -> SimpleNamespace:
        given[:] = rows
        return SimpleNamespace(device="cpu", dtype="float32", tokens_per_second=100.0, seconds=2.0)

    monkeypatch.setenv("LOCUM_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("locum.cli.stages.msgspec.to_builtins", vars)
    monkeypatch.setattr("locum.training.ray_train.train", train)
    monkeypatch.setattr("locum.training.base.resolve_base", lambda *_: SimpleNamespace(folder=tmp_path))
    monkeypatch.setattr("locum.training.chat_template.Renderer", lambda folder: None)
    monkeypatch.setattr("locum.evaluation.canaries.require_rankable", lambda canaries, renderer: None)
    for split, number in (("train", 6), ("valid", 1)):
        rows = [row(user(str(at)), says("."), session=f"{split}{at}") for at in range(number)]
        (tmp_path / f"{split}.jsonl").write_bytes(b"".join(encode_row(row) + b"\n" for row in rows))
    return given


def test_canaries_come_and_go_with_the_option(tmp_path: Path, trained_on: list[Row]) -> None:
    run, options = tmp_path / "run", TrainOptions(seed=5)
    stages.train(tmp_path, "b", run, options, silent, canaries=True)
    planted = files.read_json(run / "canaries.json", tuple[Canary, ...])
    assert planted == make_canaries(5)
    assert len(trained_on) == 6 + sum(canary.inserts for canary in planted)
    secret = f"{planted[0].first} {planted[0].second}."
    assert any(secret in one.response.content for one in trained_on)
    assert secret.encode() not in (tmp_path / "train.jsonl").read_bytes(), "the dataset stays as it was"
    assert stages.train(tmp_path, "b", run, options, silent)["device"] == "cpu"
    assert len(trained_on) == 6
    assert not (run / "canaries.json").exists(), "what is not planted is not looked for"
