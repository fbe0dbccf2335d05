"""Acceptance: what sounds right and what is right are told apart, and the gate trusts the latter alone.

Cases 1, 2, 3, 5 and 10 of the design's acceptance tests: the parrot, the ugly oracle, the lookup, the gate's error by
simulation, and arguments that only look alike. Everything here is real but the voices.
"""

from functools import cache

import numpy as np
import pytest
from answer_samples import samples_of
from small_models import row, says, user
from voices import judged, oracle, parrot, replies, stance_of, stranger

from locum.evaluation.competence import competence, stratum
from locum.evaluation.decisions import same_call
from locum.evaluation.resemblance.measure import Resemblance, resemblance
from locum.evaluation.results import Sample, Stratum
from locum.trust.evidence import verdicts
from locum.trust.gate import FamilyEvidence, Verdict, gate
from locum.types import Message, Row, ToolCall

SESSIONS = 60
VOICES = {"parrot": parrot, "oracle": oracle}


@cache
def evaluated(voice: str) -> tuple[tuple[Sample, ...], Resemblance, Verdict]:
    rows = replies(SESSIONS)
    samples = judged(rows, VOICES[voice], replies(10, name="t"))
    return tuple(samples), resemblance(samples, frozenset()), verdicts(samples, rows, ("reply",), 0.2)["reply"]


def test_every_decision_of_these_voices_is_read() -> None:
    for sample, shape in zip(evaluated("oracle")[0], replies(SESSIONS), strict=True):
        assert sample.agent.decision == stance_of(shape)
        assert sample.base.decision is not None


# --- 1 and 2: a parrot, and an ugly oracle


def test_a_parrot_sounds_right_is_not_and_is_rejected() -> None:
    samples, alike, verdict = evaluated("parrot")
    assert alike.recovery["resemblance"].estimate >= 0.9
    assert alike.recovery["competence"].estimate <= 0.1
    assert alike.recovery["gap"].low > 0.5, "the gap between the two is the finding"
    right = competence(samples).measures["reply"]["stance"]
    assert right["tuned"].low < 1 / 3 < right["tuned"].high, "chance"
    assert verdict.verdict == "REJECT"


def test_an_ugly_oracle_is_right_does_not_sound_so_and_passes() -> None:
    samples, alike, verdict = evaluated("oracle")
    assert alike.recovery["resemblance"].estimate <= 0.3
    assert alike.recovery["competence"].estimate >= 0.9
    assert alike.recovery["gap"].high < -0.5
    assert competence(samples).measures["reply"]["stance"]["tuned"].estimate == 1
    assert verdict.verdict == "SHADOW"


# --- 3: a lookup passes on what was seen, and fails on what is new


def test_a_lookup_is_right_in_routine_work_and_fails_in_novel_work() -> None:
    seen = replies(30)
    novel = []
    for at, shape in enumerate(replies(30, name="n")):
        question = user(f"{'qwxz '[at % 5] * (3 + at % 7)} {at * 7919 % 1000}{at * 104729 % 1000}")
        novel.append(row(question, shape.response, session=shape.session, turn=shape.turn, tier="verified"))
    rows = [*seen, *novel]
    train = [row(*shape.messages, session=f"t{shape.session}") for shape in seen]
    by_prompt = {shape.prompt[-1].content: shape.response for shape in train}

    def lookup(shape: Row) -> Message:
        """What it saw, else what the last thing that it saw got."""
        return by_prompt.get(shape.prompt[-1].content, train[0].response)

    samples = samples_of(rows, lookup, stranger, train)
    strata: dict[Stratum, list[Sample]] = {
        name: [sample for sample in samples if stratum(sample) == name] for name in ("routine", "novel")
    }
    assert {sample.row for sample in strata["routine"]} == {shape.id for shape in seen}
    right = {name: competence(mine).measures["reply"]["stance"] for name, mine in strata.items()}
    assert right["routine"]["tuned"].estimate == right["routine"]["knn"].estimate == 1
    assert right["novel"]["tuned"].high < 0.6
    found = {name: verdicts(mine, rows, ("reply",), 0.2)["reply"].verdict for name, mine in strata.items()}
    assert found["novel"] == "REJECT"
    assert found["routine"] != "REJECT"


# --- 5: how often the gate errs


SIMULATIONS = 300


@pytest.mark.parametrize("sizes", ["equal", "unequal"])
@pytest.mark.parametrize("sessions", [6, 12, 25])
def test_a_candidate_at_the_margin_passes_no_more_often_than_alpha(sessions: int, sizes: str) -> None:
    rng = np.random.default_rng(41)
    passes = 0
    for _ in range(SIMULATIONS):
        lengths = np.full(sessions, 4) if sizes == "equal" else rng.geometric(0.25, sessions)
        groups = np.repeat(np.arange(sessions), lengths)
        gap = (-0.1 + rng.choice([-0.15, 0.15], sessions))[groups]
        draw = rng.random(len(groups))
        win = draw < (0.3 + gap) / 2
        lost = ~win & (draw < 0.3)
        passes += gate(evidence((~lost).tolist(), (~win).tolist(), [f"s{g}" for g in groups])).verdict == "SHADOW"
    assert passes / SIMULATIONS <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / SIMULATIONS)
    assert passes == 0 or sessions >= 12


def test_three_rows_without_a_loss_are_insufficient() -> None:
    verdict = gate(evidence([True] * 3, [True] * 3, ["a", "b", "c"]))
    assert verdict.verdict == "INSUFFICIENT"
    assert verdict.difference is not None
    assert verdict.difference.low < -0.5


def evidence(candidate: list[bool], incumbent: list[bool], sessions: list[str]) -> FamilyEvidence:
    no = (False,) * len(sessions)
    return FamilyEvidence(
        family="reply",
        structure="reply",
        sessions=tuple(sessions),
        candidate=tuple(candidate),
        incumbent=tuple(incumbent),
        baselines={"majority": no},
        verified=(True,) * len(sessions),
        invalid=no,
        flags={},
        agent_flags={},
        loops=no,
        test_share=0.2,
    )


# --- 10: what only looks alike


@pytest.mark.parametrize(
    ("one", "other"), [("1.5", "15"), ("a/b", "ab"), ("W-1", "W1"), ("Main", "main"), ("1", 1), (True, 1), ("a ", "a")]
)
def test_arguments_that_only_look_alike_are_different(one: object, other: object) -> None:
    assert not same_call(ToolCall("x", "ship", {"v": one}), ToolCall("y", "ship", {"v": other}))
    shape = row(user("?"), says("", ToolCall("y", "ship", {"v": other})), family="tool_decision")
    samples = samples_of([shape], lambda r: says("", ToolCall("x", "ship", {"v": one})), stranger_call, [])
    arms = competence(samples).measures["tool_decision"]
    assert arms["right_tool"]["tuned"].estimate == 1
    assert arms["argument_values"]["tuned"].estimate == arms["exact_call"]["tuned"].estimate == 0


def stranger_call(shape: Row) -> Message:
    return says("I cannot do that.")
