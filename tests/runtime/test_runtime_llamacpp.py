"""The embedded engine answers, stops where the turn ends, computes shared beginnings once, and lets its port go."""

import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from small_models import many_rows, says, system, user

from locum.errors import EngineError
from locum.export.gguf_file import write_gguf
from locum.runtime.llamacpp import LlamaCpp
from locum.runtime.protocol import Engine, Sampling
from locum.runtime.scorer import Scorer
from locum.training.base import Base
from locum.training.chat_template import Renderer
from locum.training.device import Device

EXACT = Device("cpu", "float32")


@pytest.fixture(scope="module")
def engine(tiny_file: Path) -> Iterator[LlamaCpp]:
    with LlamaCpp(tiny_file, context=2048) as loaded:
        yield loaded


@pytest.fixture(scope="module")
def scorer(tiny_file: Path, tiny_base: Base) -> Scorer:
    return Scorer(tiny_file, tiny_base.folder, EXACT)


@pytest.fixture
def prompt(tiny_renderer: Renderer) -> list[int]:
    return tiny_renderer.tokens(tiny_renderer.prompt_text([system("Be brief."), user("Which order is late?")]))


def greedy(scorer: Scorer, prompt: list[int], count: int) -> list[int]:
    """What torch writes with the same weights."""
    tokens = list(prompt)
    for _ in range(count):
        tokens.append(int(np.argmax(scorer.next_log_probabilities(tokens))))
    return tokens[len(prompt) :]


def test_it_is_an_engine(engine: LlamaCpp) -> None:
    checked: Engine = engine
    assert checked.name == "llama.cpp"


def test_it_writes_what_the_weights_say_in_torch(
    engine: LlamaCpp, scorer: Scorer, tiny_renderer: Renderer, prompt: list[int]
) -> None:
    found = engine.complete(prompt, Sampling(max_tokens=12))
    expected = greedy(scorer, prompt, 12)
    assert tiny_renderer.end not in expected
    # Bytes that are half a character are shown differently by each; what both can show must agree.
    ours = str(tiny_renderer.tokenizer.decode(expected))
    assert found.text.replace("\ufffd", "") == ours.replace("\ufffd", "")
    assert (found.finish, found.prompt_tokens) == ("length", len(prompt))


def test_the_same_prompt_gets_the_same_answer(engine: LlamaCpp, prompt: list[int]) -> None:
    first = engine.complete(prompt, Sampling(max_tokens=20))
    assert engine.complete(prompt, Sampling(max_tokens=20)).text == first.text
    warm = Sampling(max_tokens=20, temperature=2.0, seed=7)
    assert engine.complete(prompt, warm).text == engine.complete(prompt, warm).text
    assert engine.complete(prompt, warm).text != first.text


def test_a_shared_beginning_is_computed_once(engine: LlamaCpp, prompt: list[int]) -> None:
    longer = [*prompt, *range(10, 40)]
    engine.complete(prompt, Sampling(max_tokens=1))
    found = engine.complete(longer, Sampling(max_tokens=1))
    assert len(prompt) - 1 <= found.cached_tokens < len(longer)
    unlike = [token % 300 + 50 for token in longer]
    assert engine.complete(unlike, Sampling(max_tokens=1)).cached_tokens == 0


@pytest.mark.parametrize(("word", "text", "finish"), [("<|im_end|>", "", "stop"), ("a", "a" * 30, "length")])
def test_the_end_of_the_turn_ends_the_answer(
    tiny_base: Base, tiny_renderer: Renderer, prompt: list[int], tmp_path: Path, word: str, text: str, finish: str
) -> None:
    """With a model that has but one word: the end of the turn, or a letter for ever."""
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "mono"
    shutil.copytree(tiny_base.folder, folder)
    state = load_file(folder / "model.safetensors")
    for name, value in state.items():
        if "o_proj" in name or "down_proj" in name or "lm_head" in name:
            value.zero_()
    state["model.embed_tokens.weight"][:, 0] = 5.0
    state["lm_head.weight"][tiny_renderer.tokens(word)[0], 0] = 50.0
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    write_gguf(folder, Base(name="mono", folder=folder), tiny_renderer, tmp_path / "m.gguf", "F32", "mono")
    with LlamaCpp(tmp_path / "m.gguf") as engine:
        found = engine.complete(prompt, Sampling(max_tokens=30))
        assert "".join(engine.chat([user("?")], Sampling(max_tokens=30))) == text
    assert (found.text, found.finish) == (text, finish)


def test_the_likeliest_tokens_are_those_of_the_weights(
    engine: LlamaCpp, scorer: Scorer, tiny_renderer: Renderer
) -> None:
    """After every kind of prompt: some of these answers begin with a byte that is no character of its own."""
    for shape in many_rows():
        prompt = tiny_renderer.tokens(tiny_renderer.prompt_text(shape.prompt, shape.tools))
        found = engine.next_tokens(prompt, 6)
        expected = scorer.next_log_probabilities(prompt)
        assert len(found) == 6
        assert [c.logprob for c in found] == sorted((c.logprob for c in found), reverse=True)
        assert {c.token for c in found[:4]} <= set(np.argsort(-expected)[:6].tolist())
        for candidate in found:
            assert candidate.logprob == pytest.approx(float(expected[candidate.token]), abs=0.05)


def test_chat_is_the_same_answer_in_pieces(engine: LlamaCpp, tiny_renderer: Renderer, prompt: list[int]) -> None:
    chat = [system("Be brief."), user("Which order is late?")]
    pieces = list(engine.chat(chat, Sampling(max_tokens=12)))
    assert len(pieces) > 3
    assert "".join(pieces) == engine.complete(prompt, Sampling(max_tokens=12)).text
    longer = [*chat, says("It is."), user("Why?")]
    assert list(engine.chat(longer, Sampling(max_tokens=4))), "a second turn on the same connection"


def test_a_prompt_longer_than_the_context_is_refused_in_one_line(engine: LlamaCpp) -> None:
    with pytest.raises(EngineError, match=r"llama\.cpp answered 4\d\d to /completion: .*context"):
        engine.complete([5] * 3000, Sampling(max_tokens=1))
    with pytest.raises(EngineError, match=r"llama\.cpp answered 4\d\d"):
        list(engine.chat([user("late " * 3000)], Sampling(max_tokens=1)))


def listens(address: str) -> bool:
    parts = urlsplit(address)
    with socket.socket() as probe:
        probe.settimeout(2)
        return probe.connect_ex((parts.hostname or "", parts.port or 0)) == 0


def test_closing_frees_the_port(tiny_file: Path) -> None:
    with LlamaCpp(tiny_file) as engine:
        address = str(engine._client.base_url)
        assert listens(address)
    assert not listens(address)
    engine.close()  # once more does no harm


def test_two_engines_stand_side_by_side(tiny_file: Path, engine: LlamaCpp, prompt: list[int]) -> None:
    with LlamaCpp(tiny_file) as other:
        assert other._client.base_url != engine._client.base_url
        sampling = Sampling(max_tokens=5)
        assert other.complete(prompt, sampling).text == engine.complete(prompt, sampling).text


def test_files_that_are_no_model(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"no model file '.*missing\.gguf'"):
        LlamaCpp(tmp_path / "missing.gguf")
    (tmp_path / "bad.gguf").write_bytes(b"GGUF" + b"\0" * 100)
    with pytest.raises(EngineError, match=r"does not load '.*bad\.gguf'"):
        LlamaCpp(tmp_path / "bad.gguf")
