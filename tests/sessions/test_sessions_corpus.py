"""Real logs: nothing unexplained, nothing unpaired, nothing lost. See session-formats.md §14 for the
cases."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from locum.progress import silent
from locum.sessions import SourceReading, read_sources
from locum.sessions.claude_code.texts import HARNESS_PREFIXES
from locum.sessions.reader import FileReading
from locum.sessions.registry import reader_of
from locum.types import Session

DATA = Path(__file__).parents[2].parent / "shared" / "data"
CLAUDE = DATA / "claude_code"
pytestmark = [
    pytest.mark.corpus,
    pytest.mark.skipif(not DATA.is_dir(), reason="the corpus does not stand beside the checkout"),
]


@pytest.fixture(scope="module")
def claude() -> SourceReading:
    return read_sources([CLAUDE], silent)


@pytest.fixture(scope="module")
def tau() -> SourceReading:
    return read_sources([DATA / "tau_bench"], silent)


def read(path: Path) -> FileReading:
    reader = reader_of(path)
    assert reader is not None
    reading = reader.read(path)
    lines = reading.lines
    bad = len(lines.bad) + lines.bad_unlisted
    assert lines.total == lines.used + sum(lines.noise.values()) + sum(lines.unknown.values()) + bad
    return reading


def records(path: Path) -> Iterator[dict[str, Any]]:
    for raw in path.read_bytes().splitlines():
        try:
            record = json.loads(raw)
        except ValueError:
            continue
        if isinstance(record, dict):
            yield record


def blocks(path: Path, type_: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    for record in records(path):
        message = record.get("message")
        content = message.get("content") if isinstance(message, dict) else None
        for block in content if isinstance(content, list) else []:
            if isinstance(block, dict) and block.get("type") == type_:
                yield record, block


def one(pattern: str) -> Path:
    (path,) = CLAUDE.glob(pattern)
    return path


def of(reading: SourceReading, path: Path) -> list[Session]:
    return [session for session in reading.sessions if session.source == str(path)]


def test_every_log_is_recognised_and_every_line_accounted_for(claude: SourceReading) -> None:
    assert {Path(path) for path in claude.files} == set(CLAUDE.rglob("*.jsonl"))
    assert {Path(skipped.path) for skipped in claude.skipped} == set(CLAUDE.rglob("*.json"))
    for path in CLAUDE.rglob("*.jsonl"):
        assert read(path).lines.total == len(path.read_bytes().splitlines())


def test_what_is_unknown_or_bad_is_so_on_purpose(claude: SourceReading) -> None:
    """Other tools' test files hold records that nothing wrote but their authors; real logs hold none."""
    assert claude.lines.unknown == {"(no type)": 1, "agent_supervision_note": 1, "user block: (no type)": 1}
    assert {Path(bad.file).name for bad in claude.lines.bad} == {"cc-session-001.jsonl", "edge_cases.jsonl"}


def test_split_messages_are_whole_and_every_result_stands_with_its_call(claude: SourceReading) -> None:
    for path in CLAUDE.rglob("*.jsonl"):
        written: dict[str, Counter[str]] = {}
        for record, block in blocks(path, "tool_use"):
            written.setdefault(record["message"].get("id") or record["uuid"], Counter())[block["id"]] += 1
        results = {block["tool_use_id"] for _, block in blocks(path, "tool_result")}
        for session in of(claude, path):
            turns = [m for m in session.messages if m.origin == "agent"]
            assert len({m.id for m in turns if m.id}) == len([m for m in turns if m.id])
            for turn in turns:
                calls = {call.id for call in turn.tool_calls}
                assert calls == set(written.get(turn.id or "", ()))
            called = {call.id for turn in turns for call in turn.tool_calls}
            paired = [m.tool_call_id for m in session.messages if m.role == "tool"]
            assert sorted(paired, key=str) == sorted(called & results)


def test_interleaved_results_of_a_split_message() -> None:
    (session,) = read(one("claude-code-viewer/1af7*.jsonl")).sessions
    many = [m for m in session.messages if len(m.tool_calls) > 1]
    assert [len(m.tool_calls) for m in many] == [5, 3]
    at = session.messages.index(many[0])
    assert [m.tool_call_id for m in session.messages[at + 1 : at + 6]] == [c.id for c in many[0].tool_calls]


def test_inline_sub_agents_are_told_from_the_main_line() -> None:
    main, *below = read(one("claude-code-viewer/5c03*.jsonl")).sessions
    assert len(below) == 2
    assert {s.lineage for s in below} == {main.lineage}
    assert all(s.messages[0].origin == "harness" for s in below)
    assert below[0].messages[-1].content in main.messages[-1].content or any(
        below[0].messages[-1].content[:200] in m.content for m in main.messages if m.role == "tool"
    )


@pytest.mark.parametrize("pattern", ["entire/*__a6-e4c2*.jsonl", "entire/*__76-62d7*.jsonl"])
def test_compaction_splits_the_session(pattern: str) -> None:
    sessions = read(one(pattern)).sessions
    assert len(sessions) == 2
    assert sessions[1].id == f"{sessions[0].id}#2"
    assert sessions[1].messages[0].origin == "harness"
    assert sessions[1].messages[0].content.startswith("This session is being continued")


def test_a_log_of_summaries_holds_no_session() -> None:
    reading = read(one("episodic-memory/medium*.jsonl"))
    assert reading.sessions == ()
    assert set(reading.lines.noise) <= {"summary", "file-history-snapshot", "unanswered"}


@pytest.mark.parametrize(("name", "copies"), [("cc432c40", 4), ("198393f2", 3)])
def test_checkpoints_of_one_session_share_a_lineage(claude: SourceReading, name: str, copies: int) -> None:
    sessions = [s for path in CLAUDE.glob(f"entire/*{name}*.jsonl") for s in of(claude, path)]
    assert len({s.source for s in sessions}) == copies
    assert len({s.lineage for s in sessions}) == 1


def test_no_message_is_in_two_lineages(claude: SourceReading) -> None:
    lineages: dict[str, set[str]] = {}
    for session in claude.sessions:
        for message in session.messages:
            if message.id is not None:
                lineages.setdefault(message.id, set()).add(session.lineage)
    assert all(len(names) == 1 for names in lineages.values())
    assert len({s.id for s in claude.sessions}) == len(claude.sessions)


def test_signals_are_found_where_the_logs_hold_them(claude: SourceReading) -> None:
    signals = Counter(s for session in claude.sessions for m in session.messages for s in m.signals)
    synthetic = sum(
        record["message"].get("model") == "<synthetic>"
        for path in CLAUDE.rglob("*.jsonl")
        for record in records(path)
        if isinstance(record.get("message"), dict)
    )
    assert signals["synthetic"] == synthetic > 0
    assert signals["rejected"] > 5
    assert signals["interrupted"] > 5
    assert signals["tool_error"] > 30
    assert signals["corrected"] > 0


def test_an_image_in_a_result_makes_the_answer_unreadable() -> None:
    (session,) = read(one("agentcmd/full-session-two.jsonl")).sessions
    at = next(n for n, m in enumerate(session.messages) if m.role == "tool" and "[image]" in m.content)
    answer = next(m for m in session.messages[at:] if m.origin == "agent")
    assert "unreadable" in answer.signals


def test_bad_lines_and_lines_that_are_no_object_stop_nothing() -> None:
    reading = read(one("claude-code-log/edge_cases.jsonl"))
    assert [bad.line for bad in reading.lines.bad] == [10, 11, 13, 15, 16]
    assert sum(m.origin == "agent" for s in reading.sessions for m in s.messages) == 4


def test_no_harness_text_passes_for_human_or_stays_in_a_result(claude: SourceReading) -> None:
    for session in claude.sessions:
        for message in session.messages:
            if message.origin == "human":
                assert not message.content.lstrip().startswith((*HARNESS_PREFIXES, "[Request interrupted"))
            if message.origin in ("human", "tool"):
                assert "\n\n<system-reminder>" not in message.content


def test_tau_bench_holds_every_run_with_its_reward(tau: SourceReading) -> None:
    assert tau.formats == {"tau_bench": 3}
    assert (tau.lines.bad, tau.lines.unknown) == ((), {})
    for path in map(Path, tau.files):
        runs = json.loads(path.read_bytes())
        sessions = of(tau, path)
        assert [s.reward for s in sessions] == [run["reward"] for run in runs]
        assert len({s.lineage for s in sessions}) == len({run["info"]["task"]["user_id"] for run in runs})
        assert read(path).lines.total == sum(len(run["traj"]) for run in runs)
        for session, run in zip(sessions, runs, strict=True):
            calls = [call for m in session.messages for call in m.tool_calls]
            names = [c["function"]["name"] for m in run["traj"] for c in m.get("tool_calls") or []]
            assert [call.name for call in calls] == names
            assert all(isinstance(call.arguments, dict) for call in calls)
            assert not any("###STOP###" in m.content for m in session.messages if m.role == "user")


def test_no_log_is_taken_for_another_kind() -> None:
    """Folders are named after formats; some hold files of a format that has no folder of its own."""
    folders = {path.name for path in DATA.iterdir()}
    for path in filter(Path.is_file, DATA.rglob("*")):
        reader = reader_of(path)
        folder = path.relative_to(DATA).parts[0]
        if reader is not None and (reader.name in folders or folder in ONE_FORMAT):
            assert reader.name == folder, path


ONE_FORMAT = ("claude_code", "codex", "gemini_cli", "pi_openclaw", "tau_bench")
