"""Every row's response is a target exactly once, behind exactly its own prompt, whatever shares what."""

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from locum.training.chat_template import Encoded
from locum.training.packing import TokenSequence, chain, pack


@st.composite
def encoded_rows(draw: st.DrawFn) -> list[Encoded]:
    """Rows that often continue, equal, cut or contradict one another: a tree of few different tokens."""
    rows: list[Encoded] = []
    for _ in range(draw(st.integers(0, 8))):
        if draw(st.booleans()) and rows:
            parent = draw(st.sampled_from(rows)).tokens
            tokens = parent[: draw(st.integers(1, len(parent)))] + draw(st.lists(st.integers(0, 2), max_size=4))
        else:
            tokens = draw(st.lists(st.integers(0, 2), min_size=1, max_size=6))
        tokens = tokens if len(tokens) > 1 else [*tokens, 0]
        rows.append(Encoded(tokens=tokens, response_start=draw(st.integers(1, len(tokens) - 1))))
    return rows


@given(encoded_rows())
def test_chains_hold_every_response_once_behind_its_own_prompt(rows: list[Encoded]) -> None:
    sequences = chain(rows)
    targets = [(row, start, end, sequence) for sequence in sequences for row, start, end in sequence.targets]
    assert sorted(row for row, *_ in targets) == list(range(len(rows)))
    for index, start, end, sequence in targets:
        row = rows[index]
        assert sequence.tokens[start:end] == row.tokens[row.response_start :]
        # Under causal attention the tokens before are all that matters, so all of them must be the row's own.
        assert sequence.tokens[:end] == row.tokens
    for sequence in sequences:
        places = [place for _, start, end in sequence.targets for place in range(start, end)]
        assert len(places) == len(set(places)) == sequence.target_tokens
        assert max(end for _, _, end in sequence.targets) == len(sequence.tokens), "nothing is computed for nothing"
    firsts = [min(row for row, _, _ in sequence.targets) for sequence in sequences]
    assert firsts == sorted(firsts)


@given(
    st.lists(st.tuples(st.lists(st.integers(3, 9), max_size=3), st.lists(st.integers(3, 9), max_size=3)), max_size=6)
)
def test_a_session_becomes_one_sequence(turns: list[tuple[list[int], list[int]]]) -> None:
    rows: list[Encoded] = []
    before: list[int] = [0]
    for asked, said in turns:
        before = [*before, *asked, 1]
        rows.append(Encoded(tokens=[*before, *said, 2], response_start=len(before)))
        before = rows[-1].tokens
    sequences = chain(rows[::-1])
    assert len(sequences) == min(1, len(rows))
    if rows:
        assert sequences[0].tokens == rows[-1].tokens


def test_two_answers_to_one_prompt_stay_apart() -> None:
    rows = [Encoded([1, 2, 3, 4], 2), Encoded([1, 2, 5, 4], 2), Encoded([1, 2, 3, 4], 2)]
    assert len(chain(rows)) == 3


@given(st.lists(st.integers(1, 12), max_size=12), st.integers(1, 20))
def test_packs_keep_everything_the_order_and_the_budget(lengths: Sequence[int], budget: int) -> None:
    sequences = [TokenSequence([i] * length, [(i, 0, length)]) for i, length in enumerate(lengths)]
    packs = list(pack(sequences, budget))
    assert [sequence for batch in packs for sequence in batch] == sequences
    for batch in packs:
        assert batch
        size = sum(len(sequence.tokens) for sequence in batch)
        assert size <= budget or len(batch) == 1
    for batch, following in pairwise(packs):
        assert sum(len(s.tokens) for s in batch) + len(following[0].tokens) > budget, "no pack stops early"
