"""What is printed of an evaluation: a line for each answer, however much there is behind it."""

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from locum.cli import show_evaluation
from locum.cli.output import Output
from locum.evaluation.results import Arms, Reliability, Replay, Results, Sampled
from locum.types import Estimate, Undefined


def estimate(value: float, low: float, high: float, rows: int = 23) -> Estimate:
    return Estimate(value, low, high, rows, 8, verified=rows)


def arms(tuned: float, *others: str) -> Arms:
    return {"tuned": estimate(tuned, 0.1, 0.9), **{arm: estimate(0.3, 0.1, 0.6) for arm in others}}


BASELINES = ("base", "base_icl", "knn", "majority")
RESULTS = Results(
    name="mine",
    base="tiny",
    model_file="mine.Q8_0.gguf",
    model_sha256="0" * 64,
    engine="llama.cpp",
    scored=Sampled(23, 8, 30, 8, 256),
    generated=Sampled(20, 8, 30, 8, 64),
    max_new_tokens=200,
    loss=arms(0.9, "base"),
    loss_by_family={family: arms(0.8, "base") for family in ("tool_decision", "code_review", "reply", "post")},
    resemblance={"style": arms(0.7, "base", "agent"), "length": arms(40, "base", "agent")},
    competence={
        "tool_decision": {
            name: arms(0.4, *BASELINES) for name in ("right_tool", "argument_keys", "argument_values", "exact_call")
        },
        "code_review": {name: arms(0.5, *BASELINES) for name in ("verdict", "verdict_balanced")},
        "reply": {"stance": arms(0.6, *BASELINES)},
    },
    verified={"reply": {"stance": arms(0.2, *BASELINES)}},
    tiers={
        "tool_decision": {"verified": 9, "recorded": 0},
        "code_review": {"verified": 0, "recorded": 6},
        "reply": {"verified": 2, "recorded": 3},
    },
    lookups={"reply": estimate(0.1, -0.2, 0.4)},
    undefined={
        "resemblance/rhythm": Undefined("too_few", "12 of at least 60 sentences"),
        "resemblance/vocabulary": Undefined("too_few", "3 of at least 30 places"),
    },
    notes=("Something to know.",),
)


def shown(results: Results, capsys: pytest.CaptureFixture[str]) -> list[str]:
    voice = Output(json=False, quiet=False, debug=False)
    found: Any = msgspec.to_builtins(results)
    show_evaluation.evaluation(voice, found)
    show_evaluation.pointer(voice, Path("runs/mine"))
    return capsys.readouterr().out.splitlines()


def test_a_screen_holds_it_and_every_family_has_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(RESULTS, capsys)
    assert len(lines) <= 20
    for family, measure in (("tool_decision", "exact_call"), ("code_review", "verdict"), ("reply", "stance")):
        assert sum(bool(re.match(rf"    {family} +{measure} tuned ", line)) for line in lines) == 1
    assert any("reply          stance tuned 0.20 " in line and "2 of 5 rows verified" in line for line in lines), (
        "what an outcome verifies comes first"
    )
    assert sum("not shown to beat the lookup" in line for line in lines) == 1
    worse = msgspec.structs.replace(RESULTS, lookups={"reply": estimate(-0.1, -0.4, 0.2)})
    assert sum("ship the lookup" in line for line in shown(worse, capsys)) == 1
    assert any("not measured   rhythm, vocabulary (the first: 12 of at least 60 sentences)" in line for line in lines)
    assert "  note: Something to know." in lines
    assert lines[-1].endswith("as a page: locum report runs/mine --open")


def test_only_signatures_beyond_the_agents_own_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    def shares(low: float, high: float) -> Arms:
        return {"tuned": estimate(0.3, 0.1, 0.5), "tuned-agent": estimate((low + high) / 2, low, high)}

    found = {
        "loops": shares(-0.1, 0.2),
        "made_up": shares(0.1, 0.3),
        "distinct_2": shares(-0.3, -0.1),
        "self_bleu": shares(-1, 0),
    }
    lines = shown(msgspec.structs.replace(RESULTS, signatures=found), capsys)
    assert [line for line in lines if "going wrong" in line] == [
        "  going wrong: beyond the agent's own rate (each at 95 %): made_up +0.20 [+0.10, +0.30], "
        "distinct_2 -0.20 [-0.30, -0.10]"
    ]
    quiet = msgspec.structs.replace(RESULTS, signatures={"loops": shares(-0.1, 0.2)})
    assert "  going wrong: nothing is shown to be beyond the agent's own rate" in shown(quiet, capsys)


def test_the_agents_own_arm_and_draws_stand_with_their_family(capsys: pytest.CaptureFixture[str]) -> None:
    family = "tool_decision"
    results = msgspec.structs.replace(
        RESULTS,
        competence={family: {"exact_call": {**arms(0.4, *BASELINES), "agent": estimate(0.8, 0.7, 0.9)}}},
        replay=Replay(
            provider="openai", model="m", host="h", asked=1, kept=0, prompt_tokens=1, answer_tokens=1, refused=0,
            cut_off=0, agreement={family: {"whole": estimate(0.9, 0.8, 1.0), "starved": estimate(0.2, 0.0, 0.4)}},
        ),
        reliability=Reliability(
            draws=2,
            temperature=0.7,
            families={family: {n: {"tuned": estimate(0.5, 0.4, 0.6)} for n in ("pass^1", "pass^2", "agreement")}},
        ),
    )  # fmt: skip
    lines = shown(results, capsys)
    at = next(index for index, line in enumerate(lines) if line.strip().startswith(family) and " tuned " in line)
    assert "agent 0.80 [0.70, 0.90]" in lines[at]
    assert (
        "      the agent agrees with itself: whole 0.90 [0.80, 1.00] of 23 prompts, starved 0.20 [0.00, 0.40] of"
        in ("\n".join(lines))
    )
    assert (
        "      drawn 2 times at 0.7: pass^1 0.50 [0.40, 0.60]  pass^2 0.50 [0.40, 0.60]  agreement 0.50"
        in "\n".join(lines)
    )
