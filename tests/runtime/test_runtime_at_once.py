"""Many prompts at once: each with its own answers, in order, and over when one fails or nobody waits any more."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from fake_ollama import serving as ollama_serving
from openai_stub import answer
from openai_stub import serving as openai_serving
from small_models import many_rows

from locum.errors import EngineError
from locum.runtime import memory
from locum.runtime.at_once import complete_each
from locum.runtime.llamacpp import LlamaCpp
from locum.runtime.ollama import Ollama
from locum.runtime.ollama_engine import OllamaEngine
from locum.runtime.openai_server import OpenAIServer
from locum.runtime.protocol import Asked, Completion, Engine, Sampling, TextEngine
from locum.training.chat_template import Renderer

PATIENCE = 60
"""Seconds after which requests that do not come together are a failure."""


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("complete")]


def test_one_at_a_time_starts_no_thread_and_asks_in_order() -> None:
    seen: list[tuple[int, int, bool]] = []

    def complete(prompt: Sequence[int], sampling: Sampling) -> Completion:
        seen.append((prompt[0], sampling.seed, threading.current_thread() is threading.main_thread()))
        return Completion(f"{prompt[0]}/{sampling.seed}", "stop")

    draws = (Sampling(), Sampling(seed=2))
    found = complete_each(complete, [Asked([7], draws), Asked([8])], 1)
    assert [one.text for one in next(found)] == ["7/1", "7/2"]
    assert len(seen) == 2, "nothing is asked before it is wanted"
    assert [one.text for one in next(found)] == ["8/1"]
    assert seen == [(7, 1, True), (7, 2, True), (8, 1, True)]


def test_three_at_once_come_in_the_order_of_the_prompts() -> None:
    together = threading.Barrier(3)

    def complete(prompt: Sequence[int], sampling: Sampling) -> Completion:
        together.wait(PATIENCE)
        return Completion(f"{prompt[0]}/{sampling.seed}", "stop")

    draws = (Sampling(), Sampling(seed=2))
    found = list(complete_each(complete, [Asked([at], draws) for at in range(6)], 3))
    assert [[one.text for one in each] for each in found] == [[f"{at}/1", f"{at}/2"] for at in range(6)]
    assert threads() == []


def test_after_the_first_failure_nothing_is_begun_and_nothing_runs() -> None:
    begun: list[int] = []
    failed = threading.Event()

    def complete(prompt: Sequence[int], sampling: Sampling) -> Completion:
        begun.append(prompt[0])
        if prompt[0] == 0:
            failed.set()
            raise EngineError("the first")
        assert failed.wait(PATIENCE)
        raise EngineError("another")

    with pytest.raises(EngineError, match="the first"):
        list(complete_each(complete, [Asked([at]) for at in range(200)], 2))
    assert threads() == []
    assert len(begun) < 200


def test_an_iterator_that_is_closed_early_leaves_nothing_under_way() -> None:
    begun: list[int] = []

    def complete(prompt: Sequence[int], sampling: Sampling) -> Completion:
        begun.append(prompt[0])
        if prompt[0] > 1:  # the two workers stop here until the iterator is being closed
            closing_now.wait(PATIENCE)
        return Completion("", "stop")

    closing_now = threading.Event()
    found = complete_each(complete, [Asked([at]) for at in range(50)], 2)
    next(found)
    threading.Timer(0.2, closing_now.set).start()
    found.close()
    assert threads() == []
    assert len(begun) <= 5


# --- the embedded engine


@pytest.fixture(scope="module")
def four(tiny_file: Path) -> Iterator[LlamaCpp]:
    with LlamaCpp(tiny_file, context=512, at_once=4) as loaded:
        yield loaded


@pytest.fixture(scope="module")
def prompts(tiny_renderer: Renderer) -> list[list[int]]:
    return sorted(tiny_renderer.tokens(tiny_renderer.prompt_text(shape.prompt, shape.tools)) for shape in many_rows())


def test_the_engine_has_so_many_slots_and_each_has_the_whole_context(four: LlamaCpp) -> None:
    checked: Engine = four
    assert httpx.get(f"{four.address}/props", trust_env=False).json()["total_slots"] == 4
    long = [[50 + (at + step) % 200 for step in range(480)] for at in range(4)]
    found = list(checked.complete_all([Asked(prompt, (Sampling(max_tokens=20),)) for prompt in long]))
    assert [(one.prompt_tokens, one.finish) for (one,) in found] == [(480, "length")] * 4


def test_each_prompt_gets_its_own_answers(four: LlamaCpp, prompts: list[list[int]]) -> None:
    """The low bits, which the other prompts change, decide few of these short answers."""
    draws = (Sampling(max_tokens=4), Sampling(max_tokens=4, temperature=2.0, seed=5))
    asked = [Asked(prompt, draws) for prompt in prompts if len(prompt) < 500]
    expected = [[four.complete(ask.prompt, sampling).text for sampling in ask.samplings] for ask in asked]
    assert len({text for each in expected for text in each}) > len(asked), "answers that can be told apart"
    found = list(four.complete_all(asked))
    same = [
        one.text == text
        for each, texts in zip(found, expected, strict=True)
        for one, text in zip(each, texts, strict=True)
    ]
    assert sum(same) > 0.7 * len(same)
    assert [one.prompt_tokens for one, _ in found] == [len(ask.prompt) for ask in asked]
    # Not all: a slot may be let go of a moment after its answer has come, and then another one reads the prompt.
    assert sum(draw.cached_tokens > 0.9 * draw.prompt_tokens for _, draw in found) >= 1, (
        "it is read once where it can be"
    )


def test_one_that_fails_among_many_is_one_line_and_the_engine_goes_on(four: LlamaCpp, prompts: list[list[int]]) -> None:
    asked = [Asked(prompts[0]), Asked([5] * 3000), *map(Asked, prompts[:6])]
    with closing(four.complete_all(asked)) as found:
        assert len(next(found)) == 1
        with pytest.raises(EngineError, match=r"^llama\.cpp answered 4\d\d to /completion: .*context") as refused:
            next(found)
    assert "\n" not in str(refused.value)
    assert threads() == []
    assert four.complete(prompts[0], Sampling(max_tokens=2)).prompt_tokens == len(prompts[0])


def test_an_engine_closes_once_nobody_waits_for_its_answers(tiny_file: Path, prompts: list[list[int]]) -> None:
    with LlamaCpp(tiny_file, context=512, at_once=2) as engine:
        with closing(engine.complete_all([Asked(prompt, (Sampling(max_tokens=64),)) for prompt in prompts])) as found:
            next(found)
        address = engine.address
    assert threads() == []
    with pytest.raises(httpx.ConnectError):
        httpx.get(address, trust_env=False)


def test_the_slots_contexts_count_as_memory(tiny_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available", lambda: memory.need(tiny_file, 4 * 4096).total - 1)
    LlamaCpp(tiny_file, at_once=3).close()
    with pytest.raises(EngineError, match=r"for 16,384 tokens.*take a smaller --quant, or a smaller --at-once$"):
        LlamaCpp(tiny_file, at_once=4)


# --- servers


def test_a_server_is_sent_so_many_requests_at_once() -> None:
    together = threading.Barrier(3)

    def reply(path: str, body: dict[str, Any]) -> Any:
        together.wait(PATIENCE)
        text = {"text": f"{body['prompt']}", "finish_reason": "stop"}
        return answer() | {"choices": [text]}

    with openai_serving() as stub:
        stub.reply = reply
        with OpenAIServer(stub.url, "mine", at_once=3) as server:
            checked: TextEngine = server
            found = list(checked.complete_all([Asked([at]) for at in range(6)]))
            assert [one.text for (one,) in found] == [f"[{at}]" for at in range(6)]
            stub.reply = lambda path, body: (
                {"error": {"message": f"no {body['prompt']}"}} if body["prompt"] == [2] else answer()
            )
            with pytest.raises(EngineError, match=rf"^the server at {stub.url} failed: no \[2\]$"):
                list(checked.complete_all([Asked([at]) for at in range(40)]))
    assert threads() == []


def test_ollama_is_sent_so_many_requests_at_once(tiny_renderer: Renderer) -> None:
    together = threading.Barrier(2)

    def generate(asked: dict[str, Any]) -> dict[str, Any]:
        together.wait(PATIENCE)
        return {"response": asked["prompt"].upper(), "done": True}

    texts = ["one", "two", "three", "four"]
    with ollama_serving() as fake:
        fake.made, fake.on_generate = {"mine:latest": {}}, generate
        checked: TextEngine = OllamaEngine(Ollama(fake.host), "mine", tiny_renderer, at_once=2)
        found = list(checked.complete_all([Asked(tiny_renderer.tokens(text)) for text in texts]))
        assert [one.text for (one,) in found] == [text.upper() for text in texts]
        fake.on_generate = lambda asked: {"error": "out of memory"}
        with pytest.raises(EngineError, match=r"out of memory|broke off"):
            list(checked.complete_all([Asked(tiny_renderer.tokens(text)) for text in texts]))
    assert threads() == []
