"""Ollama with training's own prompts: text there and back, and log-probabilities where a version has them."""

from collections.abc import Iterator
from typing import Any

import pytest
from fake_ollama import FakeOllama, answering_as, serving
from small_models import system, user

from locum.errors import EngineError, NotShownError
from locum.export.modelfile import plain_conversations
from locum.runtime.ollama import Ollama
from locum.runtime.ollama_engine import OllamaEngine
from locum.runtime.ollama_parity import check_next_tokens
from locum.runtime.protocol import Likely, Sampling, TextEngine
from locum.runtime.scorer import Scorer
from locum.training.base import Base
from locum.training.chat_template import Renderer
from locum.training.device import Device

EXACT = Device("cpu", "float32")


@pytest.fixture
def fake() -> Iterator[FakeOllama]:
    with serving() as server:
        server.made = {"mine:latest": {}}
        yield server


@pytest.fixture
def engine(fake: FakeOllama, tiny_renderer: Renderer) -> OllamaEngine:
    return OllamaEngine(Ollama(fake.host), "mine", tiny_renderer)


@pytest.fixture
def prompt(tiny_renderer: Renderer) -> list[int]:
    return tiny_renderer.tokens(tiny_renderer.prompt_text([system("Be brief."), user("  naïve 🦉 \t1 ")]))


def test_a_prompt_goes_as_its_text_with_no_template_between(
    engine: OllamaEngine, fake: FakeOllama, tiny_renderer: Renderer, prompt: list[int]
) -> None:
    checked: TextEngine = engine
    found = checked.complete(prompt, Sampling(max_tokens=9, seed=3))
    assert (found.text, found.finish) == ("It is.", "stop")
    (sent,) = fake.generated
    assert (sent["raw"], sent["stream"], sent["model"]) == (True, False, "mine")
    assert tiny_renderer.tokens(sent["prompt"]) == prompt
    assert sent["options"] == {"temperature": 0.0, "num_predict": 9, "seed": 3}
    fake.on_generate = lambda asked: {"response": "It", "done": True, "done_reason": "length", "prompt_eval_count": 7}
    found = checked.complete(prompt, Sampling())
    assert (found.finish, found.prompt_tokens) == ("length", 7)


def test_what_ollama_cannot_be_asked_or_does_not_tell(
    engine: OllamaEngine, fake: FakeOllama, prompt: list[int], tiny_renderer: Renderer
) -> None:
    with pytest.raises(NotShownError, match="not those of any text"):
        engine.complete(tiny_renderer.tokens("🦉")[:1], Sampling())
    with pytest.raises(NotShownError, match=r"gives no log-probabilities \(0\.12\.11"):
        engine.next_tokens(prompt, 3)
    fake.on_generate = lambda asked: {"response": "It", "done": False}
    with pytest.raises(EngineError, match="broke off"):
        engine.complete(prompt, Sampling())
    fake.on_generate = lambda asked: {"error": "out of memory"}
    with pytest.raises(EngineError, match=r"out of memory|broke off"):
        engine.complete(prompt, Sampling())
    with pytest.raises(EngineError, match=r"does not answer as 'gone'.*not found"):
        OllamaEngine(Ollama(fake.host), "gone", tiny_renderer).complete(prompt, Sampling())


def test_the_likeliest_tokens(engine: OllamaEngine, fake: FakeOllama, prompt: list[int]) -> None:
    tops = [{"token": " is", "logprob": -1.5}, {"token": "It", "logprob": -0.5}]
    fake.on_generate = lambda asked: {
        "response": "It", "done": True, "logprobs": [{"token": "It", "logprob": -0.5, "top_logprobs": tops}]
    }  # fmt: skip
    assert engine.next_tokens(prompt, 2) == [Likely("It", -0.5), Likely(" is", -1.5)]
    assert (fake.generated[0]["logprobs"], fake.generated[0]["top_logprobs"]) == (True, 2)


@pytest.mark.parametrize("off", [0.0, 1.0])
def test_ollama_is_held_against_the_files_weights(
    fake: FakeOllama, tiny_renderer: Renderer, tiny_base: Base, off: float
) -> None:
    """The fake answers with the weights' own log-probabilities, or with others."""
    server, shapes = Ollama(fake.host), plain_conversations()
    with Scorer(None, tiny_base.folder, EXACT) as weights:

        def check() -> Any:
            return check_next_tokens(
                server, "mine", tiny_renderer, shapes, lambda: Scorer(None, tiny_base.folder, EXACT), 0.02
            )

        assert check() is None, "this version does not tell"
        fake.on_generate = answering_as(weights, tiny_renderer, off)
        if off:
            with pytest.raises(EngineError, match=r"1\.000 nats off .*at most 0\.02.*--deploy embedded"):
                check()
        else:
            found = check()
            assert found.prompts == len(shapes)
            assert found.mean_abs_difference < 1e-5
