"""Every sequence is found again in its tree, and what sequences share stands there once."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from locum.runtime.prefixes import Tree, trees
from locum.runtime.scorer import Scorer
from locum.training.chat_template import Encoded
from locum.training.device import Device

sequences = st.lists(
    st.lists(st.integers(0, 2), min_size=2, max_size=12).map(lambda tokens: Encoded(tokens, 1)), max_size=12
)


def read(tree: Tree) -> dict[int, list[int]]:
    """The sequences of a tree, by the places of their tokens in the pack."""
    laid = [token for segment in tree.segments for token in segment.tokens]
    return {
        index: [laid[place] for place in tree.places(leaf, sum(len(part.tokens) for part in leaf.path))]
        for index, leaf in tree.leaves
    }


@given(sequences, st.integers(1, 40))
def test_trees_hold_every_sequence_once_and_share_beginnings(rows: list[Encoded], budget: int) -> None:
    found = list(trees(rows, budget))
    read_back = {index: tokens for tree in found for index, tokens in read(tree).items()}
    assert read_back == {index: row.tokens for index, row in enumerate(rows)}
    for tree in found:
        mine = [rows[index].tokens for index, _ in tree.leaves]
        beginnings = {tuple(tokens[:length]) for tokens in mine for length in range(1, len(tokens) + 1)}
        assert tree.size == len(beginnings), "a beginning is computed once"
        assert tree.size <= budget or len(set(map(tuple, mine))) == 1
        for segment in tree.segments:
            assert segment.depth == sum(len(part.tokens) for part in segment.path[:-1])


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another architecture than the one that everything else is tested with: learned positions, no grouped heads."""
    from transformers import GPT2Config, GPT2LMHeadModel

    folder = tmp_path_factory.mktemp("gpt2")
    torch.manual_seed(5)
    config = GPT2Config(
        vocab_size=61,
        n_positions=64,
        n_embd=32,
        n_layer=2,
        n_head=4,
        initializer_range=0.4,
        bos_token_id=0,
        eos_token_id=0,
    )
    GPT2LMHeadModel(config).save_pretrained(folder)
    return folder


@pytest.mark.usefixtures("float32")
def test_loss_and_rank_are_those_of_a_hand_softmax(gpt2: Path) -> None:
    from transformers import GPT2LMHeadModel

    draw = np.random.default_rng(3)
    prompts = [draw.integers(0, 61, size=length).tolist() for length in (9, 9, 14)]
    prompts[1][:6] = prompts[0][:6]
    answers = [draw.integers(0, 61, size=length).tolist() for length in (1, 4, 7)]
    answers.append([*answers[1][:2], 7])
    rows = [Encoded(prompt + answer, len(prompt)) for prompt in prompts for answer in answers]
    rows.append(rows[4])
    model = GPT2LMHeadModel.from_pretrained(gpt2, attn_implementation="eager").eval()
    with Scorer(None, gpt2, Device("cpu", "float32")) as scorer:
        found = scorer.score_tokens(rows)
        assert scorer.tokens_computed < sum(len(row.tokens) for row in rows) / 2
    for row, scores in zip(rows, found, strict=True):
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([row.tokens])).logits[0].double().numpy()
        for place, loss, rank in zip(range(row.response_start, len(row.tokens)), scores.loss, scores.rank, strict=True):
            before, target = logits[place - 1], row.tokens[place]
            by_hand = np.log(np.exp(before - before.max()).sum()) + before.max() - before[target]
            assert loss == pytest.approx(by_hand, abs=1e-4)
            assert rank == 1 + int((before > before[target]).sum())
