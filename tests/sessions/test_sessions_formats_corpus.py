"""Real files of benchmarks, harnesses, training sets and request logs. See session-formats.md §14, cases 13 and 14."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from claude_log import adds_up
from held import holds

from locum.dataset import extract, read_drops, read_rows
from locum.dataset.split import SPLITS
from locum.dataset.terms import RESTRICTED
from locum.progress import silent
from locum.sessions import SourceReading, read_sources
from locum.sessions.read import read_file
from locum.sessions.reader import FileReading
from locum.sessions.registry import reader_of

DATA = Path(__file__).parents[2].parent / "shared" / "data"
pytestmark = [
    pytest.mark.corpus,
    pytest.mark.skipif(not DATA.is_dir(), reason="the corpus does not stand beside the checkout"),
]
FORMATS = {
    "aider": {"aider"},
    "axiom": set(),
    "claude_code": {"claude_code"},
    "code_reviews_git_appraise": set(),
    "codex": {"codex"},
    "contemplative_agent": set(),
    "gemini_cli": {"gemini_cli"},
    "molting_claudio": {"sharegpt"},
    "openhands": {"openhands", "request_log"},
    "other_harness": set(),
    "pi_openclaw": {"pi_openclaw"},
    "swe_agent": {"swe_agent"},
    "tau2_bench": {"tau2_bench"},
    "tau_bench": {"tau_bench"},
}
"""What each folder may be recognised as here; formats that are added later have tests of their own."""
OURS = {"aider", "alpaca", "openhands", "request_log", "sharegpt", "swe_agent", "tau2_bench"}


def read(path: Path) -> FileReading:
    reader = reader_of(path)
    assert reader is not None
    reading = reader.read(path)
    adds_up(reading)
    return reading


def agents(reading: FileReading) -> int:
    return sum(message.origin == "agent" for session in reading.sessions for message in session.messages)


@pytest.mark.parametrize("folder", FORMATS)
def test_no_file_of_another_format_is_taken_for_one_of_these(folder: str) -> None:
    names = {reader.name for path in (DATA / folder).rglob("*") if path.is_file() and (reader := reader_of(path))}
    assert names & OURS <= FORMATS[folder]
    assert names >= FORMATS[folder]


@pytest.mark.parametrize("folder", ["aider", "molting_claudio", "openhands", "swe_agent", "tau2_bench"])
def test_nothing_is_unknown_bad_or_unpaired(folder: str) -> None:
    for path in (DATA / folder).rglob("*"):
        if path.is_file() and reader_of(path) is not None:
            reading = read(path)
            assert reading.sessions
            assert not reading.lines.unknown
            assert not reading.lines.bad
            for session in reading.sessions:
                called = Counter(call.id for message in session.messages for call in message.tool_calls)
                results = Counter(message.tool_call_id for message in session.messages if message.role == "tool")
                assert results <= called


def test_nothing_in_any_file_is_unexplained() -> None:
    """Test files of other tools hold records that nothing wrote but their authors; what is bad is cut or no message."""
    unknown: dict[str, dict[str, int]] = {}
    bad: dict[str, list[int]] = {}
    for path in sorted(DATA.rglob("*")):
        found = read_file(path, str(path)) if path.is_file() else None
        if isinstance(found, FileReading):
            holds(found)
            if found.lines.unknown:
                unknown[path.name] = found.lines.unknown
            if found.lines.bad:
                bad[path.name] = [line.line for line in found.lines.bad]
        elif found is not None:
            assert "in its reader" not in found.reason
    assert unknown == {
        "cc-session-001.jsonl": {"agent_supervision_note": 1},
        "edge_cases.jsonl": {"(no type)": 1, "user block: (no type)": 1},
        "interleaved_stream.jsonl": {"item: token_count": 1},
    }
    assert bad == {"cc-session-001.jsonl": [8], "edge_cases.jsonl": [10, 11, 13, 15, 16]}


def test_tau2_says_what_its_files_say() -> None:
    """Case 13: arguments are objects, the policy is tau-bench's, rewards are the files' own."""
    for path in (DATA / "tau2_bench").glob("*_*.json"):
        raw: dict[str, Any] = json.loads(path.read_bytes())
        reading = read(path)
        assert len(reading.sessions) == len(raw["simulations"])
        for session, simulation in zip(reading.sessions, raw["simulations"], strict=True):
            assert session.reward == simulation["reward_info"]["reward"]
            made = [call.arguments for message in session.messages for call in message.tool_calls]
            own = [message for message in simulation["messages"] if message["role"] == "assistant"]
            assert made == [call["arguments"] for message in own for call in message["tool_calls"] or []]
            assert session.messages[0].role == "system"
            assert session.messages[1].origin == "harness"
            assert not any("###" in message.content for message in session.messages if message.role == "user")


def test_customers_of_both_benchmarks_share_lineages() -> None:
    both = read_sources([DATA / "tau_bench", DATA / "tau2_bench"], silent)
    by_format: dict[str, set[str]] = {}
    for session in both.sessions:
        by_format.setdefault(session.format, set()).add(session.lineage)
    assert len(by_format["tau_bench"] & by_format["tau2_bench"]) > 20


def test_wrapped_texts_are_unwrapped_and_their_files_model_is_not_believed() -> None:
    for path in (DATA / "tau2_bench").glob("*_toolorchestra_*.json"):
        for session in read(path).sessions:
            assert session.model is None
            assert not any(message.content.startswith('{"message":"') for message in session.messages)


def test_the_users_tools_are_no_part_of_a_telephone_call() -> None:
    (path,) = (DATA / "tau2_bench").glob("*041221*.json")
    (session,) = read(path).sessions
    assert {message.tool_name for message in session.messages if message.role == "tool"} == {
        "get_customer_by_phone",
        "get_details_by_id",
    }


def test_trajectories_with_and_without_tool_calls() -> None:
    """Case 14."""
    kinds: Counter[bool] = Counter()
    for path in (DATA / "swe_agent").iterdir():
        history = json.loads(path.read_bytes())["history"]
        (session,) = read(path).sessions
        called = any(message.get("tool_calls") for message in history)
        kinds[called] += 1
        assert any(message.tool_calls for message in session.messages) == called
        assert len(session.messages) == sum(not message.get("is_demo") for message in history)
        assert not any(
            "\r" in message.content or "\x1b" in message.content
            for message in session.messages
            if message.role != "assistant"
        )
        assert session.reward is None
    assert kinds == {True: 4, False: 11}


def test_one_issue_is_one_lineage_under_every_prompt() -> None:
    reading = read_sources([DATA / "swe_agent"], silent)
    lineages = {session.lineage for session in reading.sessions if "marshmallow" in session.source}
    assert len(lineages) == 1


def test_an_output_holds_every_answer_of_the_model_once() -> None:
    path = DATA / "openhands" / "multi_swe_bench_example_output.jsonl"
    reading = read(path)
    for session, line in zip(reading.sessions, path.read_bytes().splitlines(), strict=True):
        history = json.loads(line)["history"]
        answers = {
            event["tool_call_metadata"]["model_response"]["id"]
            for event in history
            if event.get("action") and event.get("tool_call_metadata")
        }
        said = [message for message in session.messages if message.origin == "agent"]
        assert {message.id for message in said} == answers
        assert len(said) == len(answers)
        failed = sum(event.get("success") is False for event in history)
        assert sum("tool_error" in message.signals for message in said) >= failed > 0
    assert reading.lines.noise == {"recall": 6}


@pytest.fixture(scope="module")
def calls() -> SourceReading:
    return read_sources([DATA / "openhands" / "sdk" / "llm_data"], silent)


def test_calls_in_files_of_their_own_are_two_conversations(calls: SourceReading, tmp_path: Path) -> None:
    assert calls.formats == {"request_log": 7}
    assert len({session.lineage for session in calls.sessions}) == 2
    assert {session.provider for session in calls.sessions} == {"anthropic", "deepseek"}
    folder = tmp_path / "dataset"
    extract([DATA / "openhands" / "sdk" / "llm_data"], folder, allow_terms=RESTRICTED)
    answers = Counter(row.lineage for split in SPLITS for row in read_rows(folder, split))
    assert all(count <= 3 for count in answers.values())
    assert {drop.reason for drop in read_drops(folder)} <= {"copy", "unanswered_call", "tool_error"}


def test_calls_written_into_texts_are_what_the_harness_made_of_them(tmp_path: Path) -> None:
    """The same call, from the messages before the rewrite and from the texts after it."""
    (path,) = (DATA / "openhands" / "sdk" / "llm_data" / "nonfncall-llm-logs").glob("*068.723.json")
    call = json.loads(path.read_bytes())
    (before,) = read(path).sessions
    del call["raw_messages"]
    call["response"] = call.pop("raw_response")
    (tmp_path / "call.json").write_text(json.dumps(call))
    (after,) = read(tmp_path / "call.json").sessions
    said = [
        [(m.role, m.content.strip(), [(c.name, c.arguments) for c in m.tool_calls]) for m in session.messages]
        for session in (before, after)
    ]
    assert said[0][1:] == said[1][1:]
    assert said[1][0][1].startswith(said[0][0][1][:2000])


def test_a_personality_is_a_list_of_short_conversations() -> None:
    assert [
        len(read(DATA / "molting_claudio" / f"dataset_personality_v1{end}.json").sessions) for end in ("", "_phase8")
    ] == [
        79,
        94,
    ]


def test_aiders_answers_are_as_many_as_were_counted() -> None:
    (path,) = (DATA / "aider").iterdir()
    reading = read(path)
    text = path.read_text(errors="replace")
    assert reading.lines.total == len(path.read_bytes().split(b"\n")) - path.read_bytes().endswith(b"\n")
    assert reading.lines.noise["header"] == text.count("\n# aider chat started at ")
    counted = text.count("\n> Tokens: ")
    assert 0.95 * counted < agents(reading) < 1.05 * counted
    assert not any("\n> Tokens: " in message.content for session in reading.sessions for message in session.messages)
    signals = Counter(signal for session in reading.sessions for m in session.messages for signal in m.signals)
    # One of them answers a chat that went on beside the one whose header stands before it.
    assert signals["tool_error"] == text.count("\n> The LLM did not conform to the edit format.") - 1
    assert {session.provider for session in reading.sessions} >= {"anthropic", "openai"}
