"""The measured legibility: what is planted is found, the sums are exact, and who lends a prompt follows its rules."""

import random
from collections.abc import Iterator, Sequence

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small_models import row, says, system, user

from locum.errors import TrainingError
from locum.training.base import Base
from locum.training.chat_template import Renderer
from locum.training.device import Device
from locum.training.row_scores import match, score_rows
from locum.types import Row

_PLACES = ("Aldergate", "Brinmoor", "Cawdle", "Dunvere")
_NUMBERS = ("48213", "90577", "31864", "77420")


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Where others are at work, two threads spend their time waiting for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def planted(kind: str) -> list[Row]:
    """Four rows of one family whose responses copy from their own prompts (`copies`), or are all the same."""
    rows = []
    for place, number in zip(_PLACES, _NUMBERS, strict=True):
        asked = user(f"Parcel {number} goes to {place}. Say its number and where it goes.")
        answer = says(f"{number} {place}" if kind == "copies" else "Thank you, I will look at it.")
        rows.append(row(asked, answer, session=f"{kind}-{place}", family=kind))
    return rows


@pytest.mark.usefixtures("one_thread")
def test_planted_legibility_is_found(small_base: Base) -> None:
    scored = score_rows([*planted("copies"), *planted("constant")], small_base)
    gains = {kind: [s.gain_per_token for s in scored.scores if s.family == kind] for kind in ("copies", "constant")}
    assert len(gains["copies"]) == len(gains["constant"]) == 4
    assert min(gains["copies"]) > 0.5
    assert max(map(abs, gains["constant"])) < 0.2
    for score in scored.scores:
        assert score.gain == pytest.approx(score.other - score.own)
        assert score.own > 0
        assert score.row != score.partner


def _nats(base: Base, tokens: Sequence[int], start: int) -> float:
    """The plain way: one sequence, the library's own attention, all logits."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(base.folder, dtype=torch.float32)
    with torch.no_grad():
        logits = model(torch.tensor([list(tokens)])).logits[0, start - 1 : -1].double()
    return float(torch.nn.functional.cross_entropy(logits, torch.tensor(list(tokens[start:])), reduction="sum"))


@pytest.mark.usefixtures("float32")
def test_sums_are_those_of_each_sequence_alone(tiny_base: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("locum.training.row_scores.best_device", lambda: Device("cpu", "float32"))
    monkeypatch.setattr("locum.training.row_scores._PACK_TOKENS", 90)
    monkeypatch.setattr("locum.training.row_scores._ROWS_AT_ONCE", 3)
    rows = [
        row(user("Is it late?"), says("Yes."), session="a"),
        row(user("Is it late?"), says("Yes."), user("Why?"), says("The road is shut."), session="a", turn=1),
        row(system("Be brief."), user("Is W-1204 late, and by how many days?"), says("By 12 days."), session="b"),
        row(user("One"), says("Two"), session="c"),
    ]
    scored = score_rows(rows, tiny_base)
    renderer = Renderer(tiny_base.folder)
    by_id = {of.id: of for of in rows}
    assert [score.row for score in scored.scores] == [of.id for of in rows]
    for score in scored.scores:
        own, partner = by_id[score.row], by_id[score.partner]
        encoded = renderer.encode(own)
        response = encoded.tokens[encoded.response_start :]
        lent = renderer.tokens(renderer.prompt_text(partner.prompt))
        assert score.tokens == len(response)
        assert score.own == pytest.approx(_nats(tiny_base, encoded.tokens, encoded.response_start), rel=1e-4)
        assert score.other == pytest.approx(_nats(tiny_base, [*lent, *response], len(lent)), rel=1e-4)


@pytest.mark.usefixtures("float32")
def test_the_same_seed_scores_the_same_rows_and_tells_how_far_it_is(tiny_base: Base) -> None:
    rows = [row(user(f"Is {n} late?"), says(f"No, {n} is not."), session=f"s{n}") for n in range(12)]
    told: list[tuple[str, int, int]] = []

    def progress(work: str, done: int, total: int, note: str = "") -> None:
        told.append((work, done, total))

    first = score_rows(rows, tiny_base, limit=5, seed=3, progress=progress)
    assert (len(first.scores), first.chosen, first.rows, first.alone, first.skipped) == (5, 5, 12, 0, ())
    assert score_rows(rows, tiny_base, limit=5, seed=3).scores == first.scores
    shuffled = random.Random(1).sample(rows, len(rows))
    assert {s.row for s in score_rows(shuffled, tiny_base, limit=5, seed=3).scores} == {s.row for s in first.scores}
    assert {s.row for s in score_rows(rows, tiny_base, limit=5, seed=4).scores} != {s.row for s in first.scores}
    assert told[-1] == ("score", 5, 5)
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)


@pytest.mark.usefixtures("float32")
def test_what_cannot_be_scored_is_counted(tiny_base: Base) -> None:
    rows = [
        row(user("Is it late?"), says("Yes."), session="a"),
        row(user("Is it so?"), says("No."), session="b"),
        row(user("word " * 5000), says("Long."), session="c"),
        row(user("Post"), says("We ship it."), session="d", family="post"),
        row(user("Say nothing."), says(""), session="e"),
    ]
    scored = score_rows(rows, tiny_base)
    assert [score.row for score in scored.scores] == [rows[0].id, rows[1].id]
    assert (scored.chosen, scored.alone, len(scored.skipped)) == (5, 1, 2)
    assert "more than the 4096 that the base can see" in scored.skipped[0]
    assert "the response is empty" in scored.skipped[1]


def test_no_row_is_said_so(tiny_base: Base) -> None:
    with pytest.raises(TrainingError, match="there is no row to score"):
        score_rows([], tiny_base)


_rows = st.lists(
    st.builds(
        lambda lineage, family, size, n: row(user("x" * size), says(f"{n}"), session=lineage, family=family),
        st.sampled_from("abc"),
        st.sampled_from(["reply", "post"]),
        st.integers(0, 40),
        st.integers(0, 10**9),
    ),
    max_size=14,
)


@given(_rows, st.data())
def test_the_partner_is_the_nearest_of_its_family_and_of_another_lineage(rows: list[Row], data: st.DataObject) -> None:
    chosen = data.draw(st.lists(st.sampled_from(range(len(rows))), unique=True)) if rows else []
    partners = match(rows, chosen)
    for index in chosen:
        own = rows[index]
        size = len(own.prompt[0].content)
        others = [of for of in rows if of.family == own.family and of.lineage != own.lineage]
        assert (index in partners) == bool(others)
        if others:
            partner = rows[partners[index]]
            assert partner in others
            nearest = min(abs(len(of.prompt[0].content) - size) for of in others)
            assert abs(len(partner.prompt[0].content) - size) == nearest
    assert set(partners) <= set(chosen)
