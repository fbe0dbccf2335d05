"""The agent asked again: its own agreement is the ceiling, and nothing is paid for twice."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from answer_samples import decision_rows
from command import Command
from fake_provider import FakeProvider, Said, serving
from msgspec.structs import replace
from small_models import row, says, user
from tiny_runs import put_evaluated

from locum import files
from locum.errors import ProviderError, RunError
from locum.evaluation.agent.agreement import sentences
from locum.evaluation.agent.provider import Provider
from locum.evaluation.agent.replay import replay
from locum.evaluation.agent.replies import forget_replies
from locum.evaluation.rescore import rescore
from locum.evaluation.results import Results, Sample
from locum.settings import AgentSettings
from locum.types import Row

SHORTENED = 3
"""Every so-manieth row's prompt was shortened."""


def held_out() -> list[Row]:
    calls = decision_rows("tool_decision", 4, 3)
    replies = decision_rows("reply", 3, 2, name="r")
    rows = [replace(r, shortened=2) if at % SHORTENED == 0 else r for at, r in enumerate([*calls, *replies])]
    return [*rows, row(user("Post"), says("We ship it — today!"), session="p", family="post")]


ROWS = {r.prompt[-1].content + r.family: r for r in held_out()}
DECISIONS = len(ROWS) - 1


def of_two_minds(body: dict[str, Any]) -> Said:
    """The agent, which does again what it did in two of three cases; tools are offered only where it calls one."""
    asked = body["messages"][-1]["content"]
    before = ROWS[asked + ("tool_decision" if "tools" in body else "reply")].response
    if int(re.findall(r"Case (\d+)", asked)[0]) % 3 == 1:
        return "I am not sure what to do.", []
    return before.content, [(call.name, call.arguments) for call in before.tool_calls]


@pytest.fixture
def run(tmp_path: Path, home: Path) -> Path:
    put_evaluated(tmp_path / "run", decision_rows("tool_decision", 5, name="train"), held_out())
    return tmp_path / "run"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeProvider]:
    monkeypatch.setenv("AGENT_KEY", FakeProvider.key)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving() as provider:
        provider.answer = of_two_minds
        yield provider


Ask = Callable[..., tuple[Results, list[str]]]


@pytest.fixture
def ask(run: Path, server: FakeProvider) -> Ask:
    def asked(**change: Any) -> tuple[Results, list[str]]:
        given = {"provider": "openai", "model": "the-agent", "base_url": f"{server.url}/v1", "key_env": "AGENT_KEY"}
        told: list[str] = []
        with Provider(AgentSettings(**{**given, **change}), timeout=5.0, retries=0) as provider:
            return replay(run, provider, told.append), told

    return asked


def test_the_agent_stands_beside_the_other_arms_and_below_one(run: Path, server: FakeProvider, ask: Ask) -> None:
    results, told = ask()
    assert len(server.bodies) == DECISIONS, "a post decides nothing, and is not asked for"
    arms = results.competence["tool_decision"]["exact_call"]
    assert arms["agent"].estimate == pytest.approx(8 / 12)
    assert (arms["agent"].rows, arms["agent"].verified) == (12, 12)
    assert arms["tuned-agent"].estimate == pytest.approx(arms["tuned"].estimate - 8 / 12)
    assert {"majority", "knn", "base", "tuned"} <= arms.keys()
    assert results.competence["reply"]["stance"]["agent"].estimate == pytest.approx(4 / 6)
    assert results.verified["tool_decision"]["right_tool"]["agent"].estimate == pytest.approx(8 / 12)
    note = results.replay
    assert note is not None
    assert (note.asked, note.kept, note.refused, note.cut_off) == (DECISIONS, 0, 0, 0)
    assert (note.prompt_tokens, note.answer_tokens) == (100 * DECISIONS, 7 * DECISIONS)
    assert re.fullmatch(
        rf"asking the agent itself \(the-agent at 127\.0\.0\.1:\d+\): {DECISIONS} requests, about [\d,]+ tokens of "
        r"prompts, at most 1,024 of each answer; 0 replies are at hand",
        told[0],
    )
    assert told[1] == f"the agent answered {DECISIONS} requests: 1,800 tokens of prompts, 126 of answers"
    assert rescore(run) == results, "the arm stays when figures are computed again"
    samples = files.read_jsonl(run / "evaluation" / "samples.jsonl", Sample)
    assert sum(sample.replay is not None for sample in samples) == DECISIONS
    assert not any("temperature" in body for body in server.bodies)


def test_starved_prompts_are_counted_apart(ask: Ask) -> None:
    results, _ = ask()
    assert results.replay is not None
    assert results.replay.starved == {"shortened": 6}
    found = results.replay.agreement["tool_decision"]
    assert (found["whole"].rows, found["starved"].rows) == (8, 4)
    # Case numbers and places run alike: of every three the second is undecided, and the first is shortened.
    assert (found["whole"].estimate, found["starved"].estimate) == (0.5, 1.0)
    assert sentences(results.replay)[0] == (
        "tool_decision: asked again, the agent decides as it did in 50% of 8 prompts that say all that the log holds "
        "and in 100% of 4 context-starved prompts."
    )


def test_a_second_time_asks_nothing(run: Path, server: FakeProvider, ask: Ask) -> None:
    first, _ = ask()
    second, told = ask()
    assert len(server.bodies) == DECISIONS
    assert told[0].endswith(f"{DECISIONS} replies are at hand")
    assert second.competence == first.competence
    assert second.replay is not None
    assert (second.replay.asked, second.replay.kept, second.replay.prompt_tokens) == (0, DECISIONS, 0)
    ask(model="another")
    assert len(server.bodies) == 2 * DECISIONS, "another model is another question"


def test_what_was_answered_before_an_error_is_kept(server: FakeProvider, ask: Ask, home: Path) -> None:
    answered = 0

    def few(body: dict[str, Any]) -> Said:
        nonlocal answered
        answered += 1
        if answered == 3:
            server.failures = [(401, {}, "the key was withdrawn")]
        return of_two_minds(body)

    server.answer = few
    with pytest.raises(ProviderError, match=rf"answers 401: .*: 3 of {DECISIONS} replies are kept"):
        ask()
    kept = list((home / "replies").iterdir())
    assert len(kept) == 3
    assert all(path.stat().st_mode & 0o77 == 0 for path in kept), "private, like the log"
    assert not any(FakeProvider.key in path.read_text() for path in kept)
    results, _ = ask()
    assert results.replay is not None
    assert (results.replay.asked, results.replay.kept) == (DECISIONS - 3, 3)


def test_what_is_refused_or_cut_off_is_not_counted(server: FakeProvider, ask: Ask) -> None:
    server.failures = [(400, {}, "the prompt is too long")]
    results, told = ask()
    assert results.replay is not None
    assert results.replay.refused == 1
    assert told[1].endswith("the prompt is too long")
    arms = results.competence["tool_decision"]["exact_call"]
    assert arms["agent"].rows == arms["tuned-agent"].rows == 11 < arms["tuned"].rows
    server.finish = "length"
    results, _ = ask(max_tokens=7)
    assert results.replay is not None
    assert (results.replay.cut_off, results.replay.agreement) == (DECISIONS, {})
    assert "agent" not in results.competence["tool_decision"]["exact_call"]
    assert f"{DECISIONS} of the agent's answers were cut off or filtered and are not counted." in sentences(
        results.replay
    )
    server.failures = [(400, {}, "no such parameter")] * DECISIONS
    with pytest.raises(ProviderError, match=f"not one of {DECISIONS} prompts was taken: .* no such parameter"):
        ask(model="strict")


def test_the_anthropic_dialect_gives_the_same_figures(server: FakeProvider, ask: Ask) -> None:
    def answer(body: dict[str, Any]) -> Said:
        text = body["messages"][-1]["content"][-1]["text"]
        return of_two_minds({**body, "messages": [{"content": text}]})

    openai, _ = ask()
    server.answer = answer
    anthropic, _ = ask(provider="anthropic", base_url=server.url)
    assert anthropic.competence == openai.competence


def test_tools_that_the_log_does_not_show_are_offered_as_they_were_used(
    tmp_path: Path, server: FakeProvider, home: Path
) -> None:
    bare = [replace(r, tools=(), documents=("d" * 64,)) for r in decision_rows("tool_decision", 2, 2)]
    run = tmp_path / "bare"
    put_evaluated(run, decision_rows("tool_decision", 3, name="train"), bare, context="absorb")
    settings = AgentSettings(provider="openai", model="m", base_url=f"{server.url}/v1", key_env="AGENT_KEY")
    with Provider(settings) as provider:
        results = replay(run, provider, lambda text: None)
    offered = server.bodies[0]["tools"]
    assert {tool["function"]["name"] for tool in offered} == {"lookup", "cancel", "refund", "wait"}
    assert {tuple(tool["function"]["parameters"]["properties"]) for tool in offered} == {("id",)}
    assert results.replay is not None
    assert results.replay.starved == {"absorbed": 4, "tools_unknown": 4}
    assert results.replay.agreement["tool_decision"].keys() == {"starved"}


def test_replies_are_forgotten_with_their_session(ask: Ask, server: FakeProvider) -> None:
    ask()
    assert forget_replies(frozenset({"s0", "elsewhere"})) == 3
    results, _ = ask()
    assert results.replay is not None
    assert results.replay.asked == 3


def test_nothing_is_asked_about_what_has_changed(run: Path, server: FakeProvider, ask: Ask) -> None:
    with (run / "evaluation" / "samples.jsonl").open("a") as samples:
        samples.write("\n")
    with pytest.raises(RunError, match="is not what was evaluated"):
        ask()
    assert server.bodies == []


def test_as_a_command(run: Path, server: FakeProvider, locum: Command) -> None:
    arguments = ("evaluate", "run", "--rescore", "--agent")
    assert "set `provider` and `model` under [agent]" in locum(*arguments).error
    (locum.folder / "locum.toml").write_text(
        f'[agent]\nprovider = "openai"\nmodel = "the-agent"\nbase_url = "{server.url}/v1"\nkey_env = "AGENT_KEY"\n'
    )
    assert "agent.key_env names is empty" in locum(*arguments, env={"AGENT_KEY": ""}).error
    assert server.bodies == []
    code, out, err = locum(*arguments)
    assert code == 0, err
    # Progress alone, where it took more than a second.
    assert [line for line in err.splitlines() if not line.startswith("ask the agent: ")] == []
    assert f": {DECISIONS} requests, about " in out
    assert f"the agent answered {DECISIONS} requests: 1,800 tokens of prompts, 126 of answers" in out
    assert re.search(r"tool_decision +exact_call tuned 0\.00 .* agent 0\.67 \[.* base 0\.00 .* knn", out)
    assert re.search(r"the agent agrees with itself: whole 0\.50 .*8 prompts, starved 1\.00 .*4 prompts", out)
    code, out, _ = locum(*arguments, "--json")
    assert json.loads(out)["replay"]["kept"] == DECISIONS == len(server.bodies)
    code, _, err = locum("evaluate", "run", "--rescore", "--repeat", "2")
    assert (code, "nothing can be drawn" in " ".join(err.split())) == (2, True)
