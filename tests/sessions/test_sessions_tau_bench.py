"""tau-bench results: rewards, customers, the sign-off, broken files."""

import json
from pathlib import Path
from typing import Any

from claude_log import adds_up

from locum.sessions.reader import FileReading
from locum.sessions.registry import reader_of
from locum.sessions.tau_bench import TauBench


def tool_call(id_: str, arguments: str) -> dict[str, Any]:
    return {"id": id_, "type": "function", "function": {"name": "find_order", "arguments": arguments}}


def simulation(task: int, trial: int, customer: str | None = "ada_1", reward: Any = 1.0) -> dict[str, Any]:
    return {
        "task_id": task,
        "reward": reward,
        "info": {"task": {"user_id": customer, "instruction": "You are Ada."}} if customer else {},
        "traj": [
            {"role": "system", "content": "# Policy"},
            {"role": "user", "content": "Where is my order?"},
            {"role": "assistant", "content": None, "tool_calls": [tool_call("c1", '{"order_id": "#1"}')]},
            {"role": "tool", "tool_call_id": "c1", "name": "find_order", "content": "Error: order not found"},
            {"role": "assistant", "content": "I cannot find it.", "refusal": None, "annotations": []},
            {"role": "user", "content": "Thanks. ###STOP###"},
        ],
        "trial": trial,
    }


def read(folder: Path, content: bytes) -> FileReading:
    path = folder / "retail.json"
    path.write_bytes(content)
    reader = reader_of(path)
    assert isinstance(reader, TauBench)
    reading = reader.read(path)
    adds_up(reading)
    return reading


def test_a_simulation_is_a_session_with_its_reward(tmp_path: Path) -> None:
    reading = read(tmp_path, json.dumps([simulation(3, 0)]).encode())
    (session,) = reading.sessions
    assert (session.id, session.lineage, session.reward) == ("retail:3:0", "tau_bench:ada_1", 1.0)
    assert [(m.role, m.origin, m.content) for m in session.messages] == [
        ("system", "system", "# Policy"),
        ("user", "human", "Where is my order?"),
        ("assistant", "agent", ""),
        ("tool", "tool", "Error: order not found"),
        ("assistant", "agent", "I cannot find it."),
        ("user", "human", "Thanks."),
    ]
    called = session.messages[2]
    assert called.tool_calls[0].arguments == {"order_id": "#1"}
    assert called.signals == ("tool_error",)
    assert session.messages[3].tool_name == "find_order"
    assert (reading.lines.total, reading.lines.used) == (6, 6)


def test_trials_and_tasks_of_one_customer_share_a_lineage(tmp_path: Path) -> None:
    runs = [simulation(3, 0), simulation(3, 1), simulation(4, 0), simulation(5, 0, "bob_2")]
    runs += [simulation(6, 0, None), simulation(6, 1, None)]
    sessions = read(tmp_path, json.dumps(runs).encode()).sessions
    assert [s.lineage for s in sessions] == [
        *["tau_bench:ada_1"] * 3,
        "tau_bench:bob_2",
        *["tau_bench:task 6"] * 2,
    ]


def test_a_reward_that_is_none_is_not_made_up(tmp_path: Path) -> None:
    runs = [simulation(n, 0, reward=reward) for n, reward in enumerate([0.0, None, "1", 7])]
    sessions = read(tmp_path, json.dumps(runs).encode()).sessions
    assert [s.reward for s in sessions] == [0.0, None, None, None]


def test_a_sign_off_alone_is_no_message(tmp_path: Path) -> None:
    run = simulation(1, 0)
    run["traj"][-1]["content"] = "###STOP###"
    reading = read(tmp_path, json.dumps([run]).encode())
    assert len(reading.sessions[0].messages) == 5
    assert reading.lines.noise == {"stop": 1}


def test_of_a_cut_file_the_whole_simulations_are_read(tmp_path: Path) -> None:
    whole = json.dumps([simulation(1, 0), simulation(2, 0), simulation(3, 0)], indent=1).encode()
    reading = read(tmp_path, whole[:-600])
    assert [s.id for s in reading.sessions] == ["retail:1:0", "retail:2:0"]
    assert [(bad.line, bad.reason) for bad in reading.lines.bad] == [(13, "cut in the middle")]


def test_a_broken_message_ends_its_session_and_no_other(tmp_path: Path) -> None:
    broken = simulation(1, 0)
    broken["traj"][2]["tool_calls"][0]["function"]["arguments"] = "{order"
    odd = [7, {"traj": "none"}, {"traj": [{"role": "assistant"}, "text"]}]
    reading = read(tmp_path, json.dumps([broken, *odd, simulation(2, 0)]).encode())
    assert [s.id for s in reading.sessions] == ["retail:?:?", "retail:2:0"]
    assert len(reading.lines.bad) == 4
    assert reading.lines.noise == {"after a bad message": 3, "unanswered": 2}


def test_arguments_written_by_python_are_understood(tmp_path: Path) -> None:
    run = simulation(1, 0)
    run["traj"][2]["tool_calls"][0]["function"]["arguments"] = "{'thought': 'it\\'s', 'again': None, 'p': r'\\d'}"
    (session,) = read(tmp_path, json.dumps([run]).encode()).sessions
    assert session.messages[2].tool_calls[0].arguments == {"thought": "it's", "again": None, "p": "\\d"}


def test_policies_and_transcripts_beside_the_results_are_not_taken_for_results(tmp_path: Path) -> None:
    path = tmp_path / "tools.json"
    path.write_text(json.dumps([{"type": "function", "function": {"name": "traj"}}]))
    assert reader_of(path) is None
    path.write_text(json.dumps({"messages_display": "user: hi"}))
    assert reader_of(path) is None
