"""What was taken back: what it is kept with, and that it is never a row."""

from dataset_sessions import calls, harness, human, result, says, session, sessions
from hypothesis import given, settings

from locum.dataset.contrast import CONTRASTED, After, Contrast, aftermath, contrast_of
from locum.dataset.legibility import REASONS, judge
from locum.dataset.turns import Turn, steps
from locum.types import Session


def contrasts(given_session: Session) -> list[Contrast]:
    after = aftermath(given_session)
    found = []
    for turn in steps(given_session):
        if isinstance(turn, Turn):
            reason = judge(given_session, turn, copied=False, response_chars=3000)
            if reason in CONTRASTED:
                found.append(contrast_of(given_session, turn, reason, (human("…"),), "reply", after))
    return [contrast for contrast in found if contrast is not None]


def test_a_corrected_answer() -> None:
    [contrast] = contrasts(session(human("2+2?"), says("5.", "corrected"), human("No, wrong."), says("4.", id="m")))
    assert (contrast.reason, contrast.correction) == ("corrected", "No, wrong.")
    assert contrast.rejected == says("5.")
    assert contrast.replacement == says("4.")
    assert contrast.split is None


def test_a_refused_call() -> None:
    refused = result("a", "Do not delete it, move it.", "rejected")
    [contrast] = contrasts(session(human("Tidy."), calls("a"), refused, calls("b", text="Moving."), result("b")))
    assert (contrast.reason, contrast.correction) == ("rejected", "Do not delete it, move it.")
    assert contrast.replacement == calls("b")
    silent = session(
        human("Tidy."), calls("a"), result("a", "No.", "rejected"), human("Move it!"), calls("b"), result("b")
    )
    assert [c.correction for c in contrasts(silent)] == ["Move it!"]


def test_a_rewound_turn_is_replaced_by_the_branch_that_stood() -> None:
    [first, second] = contrasts(
        session(
            human("Plan it.", signals=("rewound",)), says("Plan A.", "rewound"), human("Hm.", signals=("rewound",)),
            says("Plan A2.", "rewound"), human("Plan it well."), says("Broken off", "interrupted"), says("Plan B."),
        )
    )  # fmt: skip
    assert [c.turn for c in (first, second)] == [0, 1]
    assert {(c.correction, c.replacement) for c in (first, second)} == {("Plan it well.", says("Plan B."))}


def test_what_failed_replaces_nothing() -> None:
    failing = session(
        human("Go."), says("Left.", "corrected"), human("No."), calls("a"), result("a", "boom", "tool_error"),
        says("Again wrong.", "corrected"), human("No!"), says("Right."),
    )  # fmt: skip
    assert [(c.correction, c.replacement) for c in contrasts(failing)] == [
        ("No.", says("Right.")),
        ("No!", says("Right.")),
    ]


def test_where_nothing_followed_there_is_nothing_to_contrast() -> None:
    assert contrasts(session(human("Go."), says("Left.", "rewound"))) == []
    [only] = contrasts(session(human("Go."), says("Left.", "corrected"), human("No.")))
    assert (only.correction, only.replacement) == ("No.", None)
    assert contrasts(session(human("Go."), says("Left.", "rewound"), harness("/clear"))) == []


@given(sessions())
@settings(max_examples=100, deadline=None)
def test_every_turn_has_its_aftermath(given_session: Session) -> None:
    after = aftermath(given_session)
    agent = [m for m in given_session.messages if m.role == "assistant" and m.origin == "agent"]
    assert sorted(after) == list(range(len(agent)))
    if agent:
        assert after[len(agent) - 1].instead is None
    said = {m.content for m in given_session.messages if m.origin == "human"} | {""}
    assert {one.said for one in after.values()} <= said
    for index, one in after.items():
        assert isinstance(one, After)
        if one.instead is not None:
            assert any(m.tool_calls == one.instead.tool_calls for m in agent[index + 1 :])


def test_the_reasons_are_reasons() -> None:
    assert set(REASONS) >= CONTRASTED
