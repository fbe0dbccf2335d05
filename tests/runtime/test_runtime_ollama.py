"""What Ollama is told, and how each of its answers is taken, against a server that speaks as it does."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from fake_ollama import SUCCESS, FakeOllama, serving
from small_models import LOOKUP, lookup, result, says, system, user

from locum.errors import EngineError
from locum.export.modelfile import describe_for_ollama
from locum.runtime.ollama import Ollama
from locum.runtime.protocol import Sampling
from locum.training.base import Base
from locum.training.chat_template import Renderer


@pytest.fixture
def fake() -> Iterator[FakeOllama]:
    with serving() as server:
        yield server


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "mine.Q8_0.gguf"
    path.write_bytes(b"GGUF and the rest")
    return path


def create(fake: FakeOllama, model: Path, **changes: Any) -> list[str]:
    told: list[str] = []
    settings: dict[str, Any] = {
        "template": "{{ .Prompt }}",
        "system": "Be brief.",
        "stop": ["<|im_end|>", "<|im_start|>"],
        "parameters": {"temperature": 0.0, "repeat_penalty": 1.0},
        "licence": "apache-2.0",
    }
    Ollama(fake.host).create(
        "mine", model, **settings | changes, progress=lambda work, done, total, note="": told.append(note)
    )
    return told


def test_everything_that_ollama_would_guess_is_sent(fake: FakeOllama, model: Path) -> None:
    told = create(fake, model)
    digest = f"sha256:{hashlib.sha256(model.read_bytes()).hexdigest()}"
    assert fake.blobs == {digest: model.read_bytes()}
    assert len(fake.created) == 1
    sent = fake.created[0]
    assert sent["model"] == "mine"
    assert sent["files"] == {"mine.Q8_0.gguf": digest}
    assert sent["template"] == "{{ .Prompt }}"
    assert sent["system"] == "Be brief."
    assert sent["license"] == "apache-2.0"
    assert sent["parameters"] == {
        "temperature": 0.0,
        "repeat_penalty": 1.0,
        "stop": ["<|im_end|>", "<|im_start|>"],
    }
    assert told[0] == "mine.Q8_0.gguf"
    assert {"parsing GGUF", "success"} <= set(told)


def test_what_is_described_of_a_base_is_what_is_sent(
    fake: FakeOllama, model: Path, tiny_base: Base, tiny_renderer: Renderer
) -> None:
    described = describe_for_ollama(tiny_base, tiny_renderer)
    create(fake, model, **msgspec.structs.asdict(described))
    sent = fake.created[0]
    assert (sent["template"], sent["system"]) == (described.template, described.system)
    assert sent["parameters"]["stop"] == list(described.stop)


def test_an_empty_system_text_and_licence_are_left_out(fake: FakeOllama, model: Path) -> None:
    create(fake, model, system="", licence="")
    assert not fake.created[0].get("system")
    assert not fake.created[0].get("license")


@pytest.mark.parametrize(
    ("stream", "words"),
    [
        ((*SUCCESS[:2], {"error": "invalid file magic"}), ("did not take", "invalid file magic")),
        (SUCCESS[:-1], ("stopped at 'writing manifest'", "try again")),
        ((), ("stopped at ''", "try again")),
    ],
)
def test_only_a_stream_that_ends_in_success_is_one(
    fake: FakeOllama, model: Path, stream: tuple[dict[str, Any], ...], words: tuple[str, ...]
) -> None:
    fake.on_create = stream
    with pytest.raises(EngineError) as refused:
        create(fake, model)
    for word in (fake.host, "'mine'", *words):
        assert word in str(refused.value)


def test_an_ollama_that_is_not_there(fake: FakeOllama, model: Path) -> None:
    with serving() as gone:
        host = gone.host
    nobody = Ollama(host)
    assert not nobody.answers()
    with pytest.raises(EngineError, match="did not take the model 'mine'"):
        nobody.create("mine", model, template="", system="", stop=[], parameters={}, licence="")
    with pytest.raises(EngineError, match="does not answer as 'mine'"):
        list(nobody.chat("mine", [user("?")], Sampling()))


def test_whether_it_answers_and_what_it_has(fake: FakeOllama, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_HOST", fake.host)
    server = Ollama()
    assert server.host == fake.host
    assert server.answers()
    fake.models = ["mine:latest", "other:1b"]
    assert server.has("mine")
    assert server.has("other:1b")
    assert not server.has("other")
    assert not server.has("min")
    fake.broken = True
    assert not server.answers()


def test_an_answer_comes_piece_by_piece(fake: FakeOllama) -> None:
    fake.models = ["mine"]
    fake.on_chat = (
        {"model": "mine", "message": {"role": "assistant", "content": "It "}, "done": False},
        {"model": "mine", "message": {"role": "assistant", "content": "is."}, "done": False},
        {"model": "mine", "message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "stop"},
    )
    chat = [system("Be brief."), user("Is it?"), says("", lookup("W-1", n=2)), result("late")]
    found = list(Ollama(fake.host).chat("mine", chat, Sampling(max_tokens=9, temperature=0.5, seed=3), [LOOKUP]))
    assert "".join(found) == "It is."
    sent = fake.chats[0]
    assert sent["stream"] is True
    assert sent["options"] == {"temperature": 0.5, "num_predict": 9, "seed": 3}
    assert [message["role"] for message in sent["messages"]] == ["system", "user", "assistant", "tool"]
    assert sent["messages"][0]["content"] == "Be brief."
    assert sent["messages"][2]["tool_calls"][0]["function"] == {
        "name": "lookup",
        "arguments": {"id": "W-1", "n": 2},
    }
    assert sent["messages"][3]["tool_name"] == "lookup"
    assert sent["tools"][0]["function"]["name"] == "lookup"


def test_a_name_that_it_lacks_and_an_error_in_the_middle(fake: FakeOllama) -> None:
    with pytest.raises(EngineError, match=r"does not answer as 'mine'.*not found"):
        list(Ollama(fake.host).chat("mine", [user("?")], Sampling()))
    fake.models = ["mine"]
    fake.on_chat = (
        {"model": "mine", "message": {"role": "assistant", "content": "It "}, "done": False},
        {"error": "out of memory"},
    )
    pieces = Ollama(fake.host).chat("mine", [user("?")], Sampling())
    assert next(pieces) == "It "
    with pytest.raises(EngineError, match="out of memory"):
        next(pieces)
