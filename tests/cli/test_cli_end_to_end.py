"""The whole of it through the real command, on the small real model."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from locum.sessions.scripted import write_sessions

CONTRACT = {
    "run": str, "turns": int, "rows": int, "drops": dict, "families": dict, "loss": dict, "steps": int,
    "train_seconds": float, "tokens_per_second": float, "model_file": str, "model_bytes": int, "deployed": dict,
    "parity": dict, "resemblance": dict, "competence": dict, "verdicts": dict, "report": str,
}  # fmt: skip
FILES = (
    "manifest.json", "metrics.jsonl", "verdict.json", "report.html", "fused/config.json",
    "dataset/train.jsonl", "dataset/valid.jsonl", "dataset/test.jsonl", "dataset/drops.jsonl", "dataset/stats.json",
    "dataset/README.md", "adapter/adapter_config.json", "adapter/adapter_model.safetensors",
    "model/e2e.Q8_0.gguf", "model/Modelfile", "model/parity.json",
    "evaluation/nll.parquet", "evaluation/samples.jsonl", "evaluation/results.json",
)  # fmt: skip


class Shop:
    """A folder with generated logs, a store of its own, and the command."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.logs, self.run = folder, folder / "logs", folder / "run"
        write_sessions(self.logs, 9, seed=3)
        self.environment = {**os.environ, "LOCUM_HOME": str(folder / "home"), "OLLAMA_HOST": "http://127.0.0.1:9"}

    def arguments(self, *more: str) -> list[str]:
        start = ["run", str(self.logs), "--name", "e2e", "--out", str(self.run), "--deploy", "embedded"]
        return [*start, "--max-steps", "6", "--eval-rows", "6", *more]

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "locum.cli.main", *arguments]
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.PIPE}
        return subprocess.Popen(command, text=True, env=self.environment, cwd=self.folder, **pipes)

    def locum(self, *arguments: str, said: str = "") -> tuple[int, str, str]:
        with self.start(*arguments) as process:
            out, err = process.communicate(said, timeout=400)
            return process.returncode, out, err


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return Shop(tmp_path_factory.mktemp("shop"))


@pytest.fixture(scope="module")
def finished(shop: Shop) -> dict[str, Any]:
    """What `locum run --json` printed; killed once while it trained, and started again."""
    process = shop.start(*shop.arguments("--json"))
    deadline = time.monotonic() + 120
    while not (shop.run / ".stages" / "dataset.json").is_file() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (shop.run / "manifest.json").exists()
    kept = (shop.run / "dataset.redactions.json").read_bytes()
    code, out, err = shop.locum(*shop.arguments("--json"))
    assert code == 0, err
    # The salt is drawn anew for every dataset: the same file means that the stage was not done again.
    assert (shop.run / "dataset.redactions.json").read_bytes() == kept
    found: dict[str, Any] = json.loads(out)
    return found


def test_the_json_holds_every_key_of_the_contract(finished: dict[str, Any]) -> None:
    for key, kind in CONTRACT.items():
        assert isinstance(finished[key], kind), key
    assert set(finished["loss"]) == {"train_first", "train_last", "valid_first", "valid_best"}
    assert finished["turns"] == finished["rows"] + sum(finished["drops"].values())
    assert finished["loss"]["train_last"] < finished["loss"]["train_first"]
    assert finished["parity"]["checked"] == finished["parity"]["identical"] > 0
    assert finished["deployed"] == {"engine": "embedded", "name": "e2e"}
    assert {verdict["verdict"] for verdict in finished["verdicts"].values()} == {"INSUFFICIENT"}
    for arms in finished["competence"]["tool_decision"].values():
        assert {"tuned", "base", "majority"} <= arms.keys()
        assert arms["tuned"]["low"] <= arms["tuned"]["estimate"] <= arms["tuned"]["high"]


def test_the_run_holds_every_file_of_the_contract(shop: Shop, finished: dict[str, Any]) -> None:
    assert [name for name in FILES if not (shop.run / name).is_file()] == []
    assert not list(shop.run.glob(".stages")) + list(shop.run.glob("**/.partial-*"))
    assert Path(finished["model_file"]).stat().st_size == finished["model_bytes"]


def test_it_answers(shop: Shop, finished: dict[str, Any]) -> None:
    arguments = ("chat", "e2e", "--beside", "base", "--max-tokens", "8", "--json")
    code, out, err = shop.locum(*arguments, said="hello\nhow are you\n")
    assert code == 0, err
    exchanges = json.loads(out)["exchanges"]
    assert [exchange["message"] for exchange in exchanges] == ["hello", "how are you"]
    assert all(len(exchange["answers"]) == 2 and all(exchange["answers"].values()) for exchange in exchanges)


def test_the_gate_says_ten(shop: Shop, finished: dict[str, Any]) -> None:
    code, out, _ = shop.locum("gate", str(shop.run), "--json")
    assert code == 10
    assert json.loads(out)["verdicts"]


def test_rows_and_drops_can_be_looked_at(shop: Shop, finished: dict[str, Any]) -> None:
    code, out, _ = shop.locum("rows", str(shop.run), "--family", "tool_decision", "--limit", "2")
    assert code == 0
    assert "tool_decision" in out
    assert "reply" not in out.split("session")[0]
    code, out, _ = shop.locum("rows", str(shop.run), "--mask", "--limit", "1")
    assert code == 0
    assert "«" in out
    assert "<|im_end|>»" in out
    assert shop.locum("rows", str(shop.run), "--drops")[0] == 0


def test_a_finished_run_is_not_overwritten(shop: Shop, finished: dict[str, Any]) -> None:
    code, out, err = shop.locum(*shop.arguments("--json"))
    assert (code, out) == (1, "")
    assert err.startswith("error: ")
    assert "--force" in err
    assert err.count("\n") == 1


def _one_line(shop: Shop, *arguments: str) -> str:
    code, out, err = shop.locum(*arguments, "--json")
    assert (code, out) == (1, ""), err
    lines = [line for line in err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    assert "Traceback" not in err
    assert not (shop.folder / "bad" / "manifest.json").exists()
    return lines[0]


def test_bad_input_gets_one_line(shop: Shop, tmp_path: Path) -> None:
    bad = ("--name", "x", "--out", str(shop.folder / "bad"), "--deploy", "none")
    empty = tmp_path / "empty"
    empty.mkdir()
    assert str(empty) in _one_line(shop, "run", str(empty), *bad)
    assert "nowhere" in _one_line(shop, "run", str(tmp_path / "nowhere"), *bad)
    no_log = tmp_path / "note.txt"
    no_log.write_text("just a note\n")
    assert "note.txt" in _one_line(shop, "run", str(no_log), *bad)
    no_row = tmp_path / "no_row.jsonl"
    no_row.write_bytes(msgspec.json.encode({"messages": [{"role": "user", "content": "anyone?"}]}) + b"\n")
    assert "error: " in _one_line(shop, "run", str(no_row), *bad)
    assert "'nope'" in _one_line(shop, "run", str(shop.logs), *bad, "--base", "nope")
    assert "'../x'" in _one_line(shop, "run", str(shop.logs), "--name", "../x", "--deploy", "none")


def test_wrong_usage_exits_with_two(shop: Shop) -> None:
    assert shop.locum("run", str(shop.logs))[0] == 2
    assert shop.locum("no-such-verb")[0] == 2
    assert shop.locum("run", str(shop.logs), "--name", "x", "--quant", "Q1")[0] == 2


def test_a_line_cut_in_the_middle_is_counted_and_the_rest_used(shop: Shop, tmp_path: Path) -> None:
    whole = sorted(shop.logs.rglob("*.jsonl"))[0].read_bytes()
    (tmp_path / "cut.jsonl").write_bytes(whole + b'{"type":"user","uuid":"1","mess')
    code, out, _ = shop.locum("extract", str(tmp_path / "cut.jsonl"), "--out", str(tmp_path / "data"), "--json")
    assert code == 0
    found = json.loads(out)
    lines = found["lines"]
    assert lines["bad"] == len(found["bad"]) == 1
    assert lines["total"] == lines["used"] + lines["noise"] + lines["unknown"] + lines["bad"]
