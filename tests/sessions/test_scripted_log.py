"""Generated logs have Claude Code's shape, the mix that the demo needs, and the same bytes every time."""

import json
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from locum.files import read_json, write_json
from locum.sessions.scripted import Truth, write_sessions

Written = tuple[list[list[dict[str, Any]]], Truth]
ENVELOPE = {
    "type", "uuid", "parentUuid", "sessionId", "timestamp", "cwd", "gitBranch", "version", "userType",
    "isSidechain",
}  # fmt: skip


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """120 sessions as parsed lines, in time order, and their truth."""
    folder = tmp_path_factory.mktemp("sessions")
    truth = write_sessions(folder, 120, seed=7)
    sessions = [[json.loads(line) for line in file.read_text().splitlines()] for file in folder.iterdir()]
    return sorted(sessions, key=lambda lines: min(line["timestamp"] for line in _threaded(lines))), truth


def _threaded(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [line for line in lines if line["type"] not in ("summary", "file-history-snapshot")]


def test_same_seed_same_bytes(tmp_path: Path) -> None:
    one, two = write_sessions(tmp_path / "a", 12, seed=3), write_sessions(tmp_path / "b", 12, seed=3)
    assert one == two
    assert _bytes(tmp_path / "a") == _bytes(tmp_path / "b")
    write_sessions(tmp_path / "c", 12, seed=4)
    assert not _bytes(tmp_path / "a").keys() & _bytes(tmp_path / "c").keys()


def test_session_is_the_same_however_many_are_written(tmp_path: Path) -> None:
    few, many = write_sessions(tmp_path / "few", 5, seed=3), write_sessions(tmp_path / "many", 23, seed=3)
    assert _bytes(tmp_path / "few").items() <= _bytes(tmp_path / "many").items()
    assert few.decisions == many.decisions[: len(few.decisions)]


def _bytes(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_truth_comes_back_from_its_file(tmp_path: Path) -> None:
    truth = write_sessions(tmp_path / "sessions", 20, seed=0)
    write_json(tmp_path / "truth.json", truth)
    assert read_json(tmp_path / "truth.json", Truth) == truth


def test_envelope_and_parent_chain(written: Written) -> None:
    for lines in written[0]:
        seen: set[str] = set()
        times = []
        for line in _threaded(lines):
            assert line.keys() >= ENVELOPE
            assert line["parentUuid"] in seen or (line["parentUuid"] is None and not seen)
            seen.add(line["uuid"])
            times.append(line["timestamp"])
        assert times == sorted(times)
        assert len({line["sessionId"] for line in _threaded(lines)}) == 1


def test_model_messages_hold_one_block_a_line(written: Written) -> None:
    spread = 0
    for lines in written[0]:
        messages: dict[str, list[dict[str, Any]]] = {}
        for line in lines:
            if line["type"] == "assistant":
                assert len(line["message"]["content"]) == 1
                assert line["message"]["stop_reason"] is None
                messages.setdefault(line["message"]["id"], []).append(line)
        for parts in messages.values():
            assert len({part["requestId"] for part in parts}) == 1
            tokens = [part["message"]["usage"]["output_tokens"] for part in parts]
            assert tokens[-1] == max(tokens)
            spread += len(parts) > 1
    assert spread > 50


def test_every_tool_call_has_its_result(written: Written) -> None:
    for lines in written[0]:
        calls: dict[str, str] = {}
        for line in lines:
            content = line.get("message", {}).get("content", "")
            for block in content if isinstance(content, list) else []:
                if block["type"] == "tool_use":
                    calls[block["id"]] = line["uuid"]
                elif block["type"] == "tool_result":
                    assert line["sourceToolAssistantUUID"] == calls.pop(block["tool_use_id"])
                    assert "toolUseResult" in line
        assert not calls


def test_ids_are_unique_and_sessions_follow_each_other(
    written: Written,
) -> None:
    sessions, truth = written
    uuids = [line["uuid"] for lines in sessions for line in _threaded(lines)]
    assert len(set(uuids)) == len(uuids)
    assert len(truth.by_message) == len(truth.decisions)
    assert len({true.session for true in truth.decisions}) == truth.sessions == len(sessions)
    spans = [[line["timestamp"] for line in _threaded(lines)] for lines in sessions]
    assert all(max(one) < min(two) for one, two in pairwise(spans))
    assert spans[0][0][:10] < spans[-1][0][:10]


def test_what_readers_must_cope_with_occurs(written: Written) -> None:
    lines = [line for session in written[0] for line in session]
    kinds = Counter((line["type"], line.get("subtype")) for line in lines)
    for kind in ("summary", "file-history-snapshot", "progress"):
        assert kinds[kind, None] > 5, kind
    assert kinds["system", "turn_duration"] > 5
    assert kinds["system", "stop_hook_summary"] > 5
    raw = json.dumps(lines)
    for text in (
        "<system-reminder>",
        "<tool_use_error>",
        "doesn't want to proceed",
        "[Request interrupted by user]",
        "<command-name>/post</command-name>",
        "No, that's not right: ",
    ):
        assert text in raw, text
    assert len({line["message"]["model"] for line in lines if line["type"] == "assistant"}) == 1


@pytest.mark.parametrize("seed", range(6))
def test_thirty_sessions_hold_the_rows_of_the_demo(seed: int, tmp_path: Path) -> None:
    truth = write_sessions(tmp_path, 30, seed)
    rows = [true for true in truth.decisions if not true.event]
    assert 91 <= len(rows) <= 110
    shares = {family: count / len(rows) for family, count in Counter(true.family for true in rows).items()}
    expected = {"tool_decision": 0.44, "code_review": 0.21, "reply": 0.19, "post": 0.15}
    assert shares.keys() == expected.keys()
    assert all(abs(shares[family] - share) < 0.07 for family, share in expected.items()), shares


def test_choices_are_balanced(tmp_path: Path) -> None:
    truth = write_sessions(tmp_path, 300, seed=2)
    choices = Counter((true.family, true.right.choice) for true in truth.decisions)
    for family, fewest in (("code_review", 0.4), ("reply", 0.3), ("post", 0.3)):
        of_family = [count for (its, _), count in choices.items() if its == family]
        assert len(of_family) == 2
        assert min(of_family) / sum(of_family) > fewest, family
    assert len([1 for family, _ in choices if family == "tool_decision"]) == 7


def test_prompts_are_short(written: Written) -> None:
    lengths = []
    for lines in written[0]:
        length = 0
        for line in lines:
            if line["type"] == "assistant":
                lengths.append(length)
            length += len(_shown(line.get("message", {}).get("content", "")))
    lengths.sort()
    assert lengths[len(lengths) // 2] < 500
    assert lengths[int(len(lengths) * 0.9)] < 900


def _shown(content: str | list[dict[str, Any]]) -> str:
    if isinstance(content, str):
        return content
    block = content[0]
    return str(block.get("text") or block.get("input") or _shown(block.get("content", "")))
