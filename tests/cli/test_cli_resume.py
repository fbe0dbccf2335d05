"""Ctrl-C, kill -9 and a full disk in every stage: nothing half-written looks whole, and the same command goes on."""

import json
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from command import Command

from locum.training.base import Base

WHOLE = {
    "dataset": ("train.jsonl", "valid.jsonl", "test.jsonl", "drops.jsonl", "stats.json", "README.md"),
    "adapter": ("adapter_config.json", "adapter_model.safetensors", "base.json"),
    "fused": ("config.json", "model.safetensors", "tokenizer.json"),
    "model": ("tiny.F16.gguf", "parity.json"),
    "evaluation": ("nll.parquet", "samples.jsonl", "results.json"),
}
"""What each folder of a run holds from the moment it is there."""
STAGES = ("dataset", "train", "export", "deploy", "evaluate", "gate")


class TinyRun:
    """`locum run` on the tiny base: every stage in a few seconds."""

    def __init__(self, locum: Command, logs: Path, base: Base) -> None:
        self.locum, self.folder = locum, locum.folder / "run"
        self.command: tuple[str, ...] = (
            "run", str(logs), "--name", "tiny", "--base", str(base.folder), "--out", str(self.folder), "--json",
            "--max-steps", "2", "--eval-rows", "2", "--quant", "F16", "--deploy", "embedded",
        )  # fmt: skip

    def recorded(self, stage: str) -> bool:
        return (self.folder / ".stages" / f"{stage}.json").is_file()

    def running(self, stage: str) -> Callable[[], bool]:
        """Whether this stage has begun."""
        if stage == "dataset":
            return (self.folder / ".request.json").is_file
        if stage == "export":
            return lambda: any(self.folder.glob(".partial-*-fused")) or any(self.folder.glob(".partial-*-model"))
        return lambda: self.recorded(STAGES[STAGES.index(stage) - 1])

    def done(self) -> dict[str, int]:
        """When each recorded stage wrote what it writes."""
        marks = {
            "dataset": self.folder / "dataset" / "stats.json",
            "train": self.folder / "adapter" / "base.json",
            "export": self.folder / "model" / "parity.json",
            "deploy": self.locum.home / "models" / "tiny" / "card.json",
            "evaluate": self.folder / "evaluation" / "results.json",
        }
        return {stage: path.stat().st_mtime_ns for stage, path in marks.items() if self.recorded(stage)}

    def require_nothing_half_written(self) -> None:
        assert not (self.folder / "manifest.json").exists()
        for folder, names in WHOLE.items():
            if (self.folder / folder).exists():
                assert {name for name in names if not (self.folder / folder / name).is_file()} == set()

    def require_finished(self, before: dict[str, int]) -> None:
        """The same command ends well, without doing again what was done."""
        marks = {"dataset": "dataset/stats.json", "train": "adapter/base.json", "export": "model/parity.json"}
        code, out, err = self.locum(*self.command)
        assert code == 0, err
        assert json.loads(out)["deployed"] == {"engine": "embedded", "name": "tiny"}
        assert ("going on with the unfinished run" in err) == bool(before)
        for stage, name in marks.items():
            assert before.get(stage) in (None, (self.folder / name).stat().st_mtime_ns), stage
        assert json.loads((self.folder / "manifest.json").read_bytes())["seconds"].keys() == set(STAGES)
        assert [
            name for folder, names in WHOLE.items() for name in names if not (self.folder / folder / name).is_file()
        ] == []
        left = [path for path in self.locum.folder.rglob(".*") if path.name.startswith((".partial-", ".stages", ".re"))]
        assert left == []


@pytest.fixture
def tiny(locum: Command, logs: Path, tiny_base: Base) -> TinyRun:
    return TinyRun(locum, logs, tiny_base)


def test_a_run_that_is_killed_and_interrupted_goes_on(tiny: TinyRun) -> None:
    killed = tiny.locum.interrupted(*tiny.command, when=tiny.running("export"), by=signal.SIGKILL)
    assert killed.code == -signal.SIGKILL
    tiny.require_nothing_half_written()
    before = tiny.done()
    assert before.keys() == {"dataset", "train"}
    refused = tiny.locum(*tiny.command, "--max-steps", "3").error
    assert "max_steps 2, now 3" in refused
    assert "--force" in refused
    stopped = tiny.locum.interrupted(*tiny.command, when=tiny.running("deploy"), by=signal.SIGINT)
    assert "interrupted; nothing is lost" in stopped.error
    tiny.require_nothing_half_written()
    assert before.items() <= tiny.done().items()
    tiny.require_finished(tiny.done())


def test_a_run_is_judged_anew_when_it_goes_on(tiny: TinyRun) -> None:
    """Whatever an earlier judgement recorded: the evaluation may have been scored again, or the version is older."""
    tiny.locum.interrupted(*tiny.command, when=lambda: tiny.recorded("evaluate"), by=signal.SIGKILL)
    old = {"tool_decision": {"verdict": "SHADOW", "reason": "as it was", "sessions_needed": 0}}
    record = tiny.folder / ".stages" / "gate.json"
    record.write_text(json.dumps({"seconds": 0.02, "result": old}))
    code, out, err = tiny.locum(*tiny.command)
    assert code == 0, err
    assert "as it was" not in out + err
    assert json.loads(out)["verdicts"] == json.loads((tiny.folder / "verdict.json").read_bytes())


@pytest.mark.slow
@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGINT])
@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_can_be_stopped(tiny: TinyRun, stage: str, by: int) -> None:
    stopped = tiny.locum.interrupted(*tiny.command, when=tiny.running(stage), by=by)
    if by == signal.SIGINT:
        assert "interrupted; nothing is lost" in stopped.error
    tiny.require_nothing_half_written()
    tiny.require_finished(tiny.done())


@pytest.mark.slow
def test_a_forced_run_that_was_killed_goes_on_when_forced_again(tiny: TinyRun) -> None:
    tiny.command = (*tiny.command, "--force")
    tiny.locum.interrupted(*tiny.command, when=tiny.running("export"), by=signal.SIGKILL)
    tiny.require_finished(tiny.done())


@pytest.mark.slow
@pytest.mark.parametrize("limit", [20_000, 60_000, 150_000, 300_000])
def test_a_full_disk_is_said_and_gone_on_from(tiny: TinyRun, limit: int) -> None:
    """No file may outgrow `limit`: rows, adapter, fused weights and model file meet it in turn."""
    assert "the disk is full" in tiny.locum(*tiny.command, limit=limit).error
    tiny.require_nothing_half_written()
    tiny.require_finished(tiny.done())


def test_a_full_disk_leaves_no_dataset(locum: Command, logs: Path) -> None:
    assert "the disk is full" in locum("extract", str(logs), "--out", "data", "--json", limit=10_000).error
    assert {path.name for path in locum.folder.iterdir()} <= {"home"}
    assert locum("extract", str(logs), "--out", "data").code == 0


@pytest.mark.slow
def test_the_demo_goes_on_and_begins_anew(locum: Command) -> None:
    run = locum.folder / "demo"
    demo = ("demo", "--out", str(run), "--sessions", "4", "--max-steps", "1", "--deploy", "none", "--json")
    locum.interrupted(*demo, when=(run / ".stages" / "dataset.json").is_file, by=signal.SIGKILL)
    rows = (run / "dataset.redactions.json").read_bytes()
    code, out, err = locum(*demo)
    assert code == 0, err
    assert "going on" in err
    assert (run / "dataset.redactions.json").read_bytes() == rows
    turns = json.loads(out)["turns"]
    # Other sessions are another request: nothing of the old ones may be left in it.
    locum.interrupted(*demo, when=(run / ".stages" / "dataset.json").is_file, by=signal.SIGKILL)
    more = list(demo)
    more[more.index("4")] = "8"
    code, out, err = locum(*more)
    assert code == 0, err
    assert json.loads(out)["turns"] > turns
