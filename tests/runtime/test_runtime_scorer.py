"""A score is the log-softmax of the file's own weights, whatever else is scored beside it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_models import many_rows

from locum.export.gguf_file import write_gguf
from locum.runtime.scorer import Scorer
from locum.training.base import Base
from locum.training.chat_template import Encoded, Renderer
from locum.training.device import Device
from locum.training.gguf_base import hf_tensors

EXACT = Device("cpu", "float32")
pytestmark = pytest.mark.usefixtures("float32")


@pytest.fixture(scope="module")
def model(tiny_base: Base, tiny_renderer: Renderer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Quantized, so that the file's weights are not the folder's."""
    path = tmp_path_factory.mktemp("model") / "tiny.gguf"
    write_gguf(tiny_base.folder, tiny_base, tiny_renderer, path, "Q8_0", "tiny")
    return path


@pytest.fixture(scope="module")
def encoded(tiny_renderer: Renderer) -> list[Encoded]:
    return [tiny_renderer.encode(row) for row in many_rows()]


def plain_losses(model: Any, row: Encoded) -> Any:
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([row.tokens])).logits[0]
    predicted = torch.log_softmax(logits, dim=-1)
    return np.array([-float(predicted[i - 1, row.tokens[i]]) for i in range(row.response_start, len(row.tokens))])


def test_scores_are_those_of_the_files_weights_in_plain_transformers(
    tiny_base: Base, model: Path, encoded: list[Encoded]
) -> None:
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.from_pretrained(tiny_base.folder)
    original = AutoModelForCausalLM.from_pretrained(tiny_base.folder, dtype=torch.float32).eval()
    plain = AutoModelForCausalLM.from_config(config, attn_implementation="eager", dtype=torch.float32).eval()
    plain.load_state_dict({name: torch.from_numpy(value) for name, value in hf_tensors(model, config)})
    with Scorer(model, tiny_base.folder) as scorer:
        found = scorer.score(encoded)
        after = scorer.next_log_probabilities(encoded[1].tokens)
    assert [len(losses) for losses in found] == [len(row.tokens) - row.response_start for row in encoded]
    apart = 0.0
    for row, losses in zip(encoded, found, strict=True):
        assert losses.dtype == np.float32
        np.testing.assert_allclose(losses, plain_losses(plain, row), atol=1e-4)
        apart = max(apart, float(np.abs(losses - plain_losses(original, row)).max()))
    assert apart > 1e-3, "the file's weights, not the folder's"
    with torch.no_grad():
        expected = torch.log_softmax(plain(torch.tensor([encoded[1].tokens])).logits[0, -1], dim=-1).numpy()
    np.testing.assert_allclose(after, expected, atol=1e-4)
    assert float(np.exp(after.astype(float)).sum()) == pytest.approx(1.0, abs=1e-4)


def test_without_a_file_the_folders_own_weights_are_taken(tiny_base: Base, encoded: list[Encoded]) -> None:
    from transformers import AutoModelForCausalLM

    plain = AutoModelForCausalLM.from_pretrained(
        tiny_base.folder, attn_implementation="eager", dtype=torch.float32
    ).eval()
    with Scorer(None, tiny_base.folder, EXACT) as scorer:
        for row, losses in zip(encoded, scorer.score(encoded), strict=True):
            np.testing.assert_allclose(losses, plain_losses(plain, row), atol=1e-4)


def test_neither_order_nor_company_changes_a_score(tiny_base: Base, model: Path, encoded: list[Encoded]) -> None:
    with Scorer(model, tiny_base.folder, EXACT) as scorer:
        together = scorer.score(encoded)
        backwards = scorer.score(encoded[::-1])[::-1]
        alone = [scorer.score([row])[0] for row in encoded]
        twice = scorer.score([encoded[0], encoded[0]])
    for first, second, third in zip(together, backwards, alone, strict=True):
        np.testing.assert_allclose(first, second, atol=1e-5)
        np.testing.assert_allclose(first, third, atol=1e-5)
    np.testing.assert_allclose(twice[0], twice[1], atol=1e-6)


def test_progress_ends_with_everything_done(tiny_base: Base, model: Path, encoded: list[Encoded]) -> None:
    seen: list[tuple[str, int, int]] = []
    with Scorer(model, tiny_base.folder, EXACT) as scorer:
        assert scorer.score([]) == []
        scorer.score(encoded, lambda work, done, total, note="": seen.append((work, done, total)), "score tuned")
    assert seen[0][:2] == ("score tuned", 0)
    assert seen[-1][1] == seen[-1][2] > 0


def test_bfloat16_is_close_and_float32_exact(tiny_base: Base, model: Path, encoded: list[Encoded]) -> None:
    with Scorer(model, tiny_base.folder, EXACT) as scorer:
        exact = scorer.score(encoded)
    with Scorer(model, tiny_base.folder, Device("cpu", "bfloat16")) as scorer:
        fast = scorer.score(encoded)
    differences = np.abs(np.concatenate(exact) - np.concatenate(fast))
    assert 0 < float(differences.mean()) < 0.05
