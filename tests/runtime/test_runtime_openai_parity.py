"""The certificate against a real server of OpenAI's API; and what a server does not show is said, never passed."""

import copy
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from openai_stub import Stub, answer, serving
from small_models import many_rows

from locum.errors import EngineError
from locum.export.gguf_file import write_gguf
from locum.runtime.llamacpp import LlamaCpp
from locum.runtime.openai_parity import Served, check_server
from locum.runtime.openai_server import OpenAIServer
from locum.runtime.scorer import Scorer
from locum.training.base import Base
from locum.training.chat_template import Renderer
from locum.training.device import Device

EXACT = Device("cpu", "float32")
ROWS = many_rows()[:4]
PARTS = ("prompts", "rendering", "logprobs", "stops", "calls")


@pytest.fixture
def serve(tiny_base: Base, tiny_renderer: Renderer, tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Serve the tiny base from llama.cpp's server, as `writer` writes it, and hold it against training."""
    stack = ExitStack()

    def served(writer: Renderer | None = None, weights: Path | None = None) -> Served:
        path = tmp_path / "m.gguf"
        write_gguf(weights or tiny_base.folder, tiny_base, writer or tiny_renderer, path, "F32", "m")
        engine = stack.enter_context(LlamaCpp(path, context=1024))
        server = stack.enter_context(OpenAIServer(engine.address, "m"))
        return check_server(server, tiny_renderer, ROWS, lambda: Scorer(None, tiny_base.folder, EXACT), "F32", asked=4)

    with stack:
        yield served


def test_llama_server_is_certified_in_all_that_it_shows(serve: Callable[..., Served]) -> None:
    found = serve()
    assert found.not_shown == {}
    assert found.checked == found.prompts == 8 + len(ROWS)
    assert found.rendering is not None
    assert 1 <= found.rendering.prompts <= 4
    assert found.rendering.mean_abs_difference < 0.005
    assert found.logprobs is not None
    assert found.logprobs.tokens >= 3
    assert found.logprobs.mean_abs_difference <= found.logprobs.bound == 0.02
    assert (found.stops.prompts, found.stops.token) == (4, "<|im_end|>") if found.stops else False
    assert found.calls is not None
    assert found.calls.calls >= 5


def test_another_system_text_by_default(serve: Callable[..., Served], tiny_renderer: Renderer) -> None:
    writer = copy.copy(tiny_renderer)
    writer.template = tiny_renderer.template.replace("You are Tiny", "You are Tiny, very tiny")
    assert writer.template != tiny_renderer.template
    with pytest.raises(EngineError, match=r"makes \d+ tokens of 'one question', training made \d+"):
        serve(writer=writer)


def test_a_prompt_of_the_same_length(serve: Callable[..., Served], tiny_renderer: Renderer) -> None:
    """One letter for another: as many tokens, and only the probabilities show it."""
    writer = copy.copy(tiny_renderer)
    writer.template = tiny_renderer.template.replace("assistant\\n' -}}", "assistanx\\n' -}}")
    ours, theirs = (len(tiny_renderer.tokens(f"<|im_start|>assistan{letter}\n")) for letter in "tx")
    assert writer.template != tiny_renderer.template
    with pytest.raises(EngineError, match="otherwise than training's own prompts" if ours == theirs else "makes"):
        serve(writer=writer)


def test_other_weights(serve: Callable[..., Served], tiny_base: Base, tmp_path: Path) -> None:
    import shutil

    from safetensors.torch import load_file, save_file

    other = tmp_path / "other"
    shutil.copytree(tiny_base.folder, other)
    state = load_file(other / "model.safetensors")
    state["model.layers.1.mlp.down_proj.weight"] *= 2
    save_file(state, other / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(EngineError, match=r"nats off those of the fused model on average \(at most 0\.02"):
        serve(weights=other)


# --- with a stub


@pytest.fixture
def stub() -> Iterator[Stub]:
    with serving() as server:
        yield server


def check(stub: Stub, renderer: Renderer, base: Base) -> Served:
    with OpenAIServer(stub.url, "mine") as server:
        return check_server(server, renderer, [], lambda: Scorer(None, base.folder, EXACT), "F32", asked=2)


def test_a_server_that_shows_nothing_passes_nothing(stub: Stub, tiny_renderer: Renderer, tiny_base: Base) -> None:
    found = check(stub, tiny_renderer, tiny_base)
    assert [getattr(found, part) for part in PARTS] == [None] * 5
    assert tuple(found.not_shown) == PARTS
    assert "how many tokens" in found.not_shown["prompts"]
    assert "no log-probabilities" in found.not_shown["logprobs"]
    assert "logit_bias" in found.not_shown["stops"]
    assert "begun" in found.not_shown["calls"]


def test_a_server_that_refuses_what_is_beyond_the_usual(
    stub: Stub, tiny_renderer: Renderer, tiny_base: Base, monkeypatch: pytest.MonkeyPatch
) -> None:
    from openai_stub import _Handler

    answered = _Handler._answer

    def strict(self: Any, status: int, value: Any) -> None:
        asked = stub.asked[-1][1] if stub.asked else {}
        beyond = {"logit_bias", "logprobs", "prompt"} & set(asked)
        answered(self, 422 if beyond else status, {"error": {"message": f"extra: {beyond}"}} if beyond else value)

    monkeypatch.setattr(_Handler, "_answer", strict)
    found = check(stub, tiny_renderer, tiny_base)
    assert tuple(found.not_shown) == PARTS
    assert "answered 422" in found.not_shown["stops"]


def test_a_server_that_fails_is_not_one_that_does_not_show(
    stub: Stub, tiny_renderer: Renderer, tiny_base: Base
) -> None:
    def failing(path: str, body: dict[str, Any]) -> Any:
        return {"error": {"message": "out of memory"}} if "logprobs" in body else answer()

    stub.reply = failing
    with pytest.raises(EngineError, match="failed: out of memory"):
        check(stub, tiny_renderer, tiny_base)


def test_a_turn_that_does_not_end(stub: Stub, tiny_renderer: Renderer, tiny_base: Base) -> None:
    letter = str(tiny_renderer.tokens("a")[-1])
    stub.reply = lambda path, body: answer("aaa" if letter in body.get("logit_bias", {}) else "<|im_end|>\n", "length")
    with pytest.raises(EngineError, match=r"does not stop at '<\|im_end\|>'.*goes on with '<\|im_end\|>"):
        check(stub, tiny_renderer, tiny_base)


def test_a_call_that_gets_lost(stub: Stub, tiny_renderer: Renderer, tiny_base: Base) -> None:
    """A server without a parser of calls gives them back as text."""
    letter = str(tiny_renderer.tokens("a")[-1])

    def reply(path: str, body: dict[str, Any]) -> Any:
        bias, last = body.get("logit_bias", {}), body["messages"][-1] if "messages" in body else {}
        if letter in bias:
            return answer("aaa", "length")
        return answer(last["content"] if bias and last["role"] == "assistant" else "")

    stub.reply = reply
    with pytest.raises(EngineError, match=r"does not give back the calls of 'a call'.*turn on its parser"):
        check(stub, tiny_renderer, tiny_base)
