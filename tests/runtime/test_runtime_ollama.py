"""What Ollama is told, and how each of its answers is taken, against a server that speaks as it does."""

import hashlib
import threading
from collections.abc import Iterator
from itertools import repeat
from pathlib import Path
from typing import Any

import msgspec
import pytest
from fake_ollama import SUCCESS, FakeOllama, full, serving
from small_models import LOOKUP, lookup, many_rows, result, row, says, system, user

from locum.errors import EngineError
from locum.export.modelfile import describe_for_ollama, plain_conversations
from locum.runtime import replies
from locum.runtime.ollama import Ollama, same_but_for_json
from locum.runtime.ollama_parity import check_rendering
from locum.runtime.protocol import Sampling
from locum.training.base import Base
from locum.training.chat_template import Renderer
from locum.types import Row


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
    assert sent["model"] == "mine:locum-partial"
    assert list(fake.made) == ["mine:latest"], "the name alone is left"
    assert fake.made["mine:latest"] == sent | {"blob": digest}
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
    assert {"parsing GGUF", "validating GGUF model 25%", "success", "asking"} <= set(told)
    # A real question was asked under the name for the time being, and the model unloaded.
    assert [(chat["model"], chat["keep_alive"]) for chat in fake.chats] == [("mine:locum-partial", 0)]


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
    fake.made["mine:latest"] = {"template": "of before"}
    fake.on_create = stream
    with pytest.raises(EngineError) as refused:
        create(fake, model)
    for word in (fake.host, "'mine'", *words):
        assert word in str(refused.value)
    assert fake.made == {"mine:latest": {"template": "of before"}}


@pytest.mark.parametrize(
    ("field", "words"),
    [("template", "without the template"), ("system", "the system text"), ("parameters", "without temperature 0")],
)
def test_what_ollama_made_is_held_against_what_it_was_told(
    fake: FakeOllama, model: Path, field: str, words: str
) -> None:
    """A version that does not know a field drops it in silence, and guesses."""
    fake.ignores = frozenset({field})
    with pytest.raises(EngineError, match=words):
        create(fake, model)
    assert fake.made == {}


def test_a_stop_token_that_got_lost(fake: FakeOllama, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    show = fake.show
    monkeypatch.setattr(
        fake,
        "show",
        lambda name: show(name) | {"parameters": show(name)["parameters"].replace("<|im_start|>", "<|x|>")},
    )
    with pytest.raises(EngineError, match=r"without stop <\|im_start\|>"):
        create(fake, model)
    assert fake.made == {}


@pytest.mark.parametrize(
    ("on_chat", "words"),
    [
        (({"error": "unsupported architecture"},), "unsupported architecture"),
        (({"message": {"role": "assistant", "content": "It "}, "done": False},), "did not end"),
        ((), "did not end"),
    ],
)
def test_a_model_that_does_not_answer_gets_no_name(
    fake: FakeOllama, model: Path, on_chat: tuple[dict[str, Any], ...], words: str
) -> None:
    fake.on_chat = on_chat
    with pytest.raises(EngineError, match=words):
        create(fake, model)
    assert fake.made == {}


def test_an_ollama_that_dies_halfway(fake: FakeOllama, model: Path) -> None:
    fake.made["mine:latest"] = {"template": "of before"}
    fake.dies = True
    with pytest.raises(EngineError, match="did not take the model 'mine'"):
        create(fake, model)
    assert fake.made == {"mine:latest": {"template": "of before"}}


@pytest.mark.parametrize("version", ["0.5.4", "0.1.44", "0.5.4-rc1"])
def test_an_ollama_that_is_too_old(fake: FakeOllama, model: Path, version: str) -> None:
    fake.version = version
    with pytest.raises(EngineError, match=rf"is {version}; it takes at least 0\.5\.5: update it"):
        create(fake, model)
    assert (fake.blobs, fake.created) == ({}, [])


@pytest.mark.parametrize("version", ["0.5.5", "0.13.0-rc2", "1.0.0", "0.0.0", "main", None])
def test_versions_that_will_do(fake: FakeOllama, model: Path, version: str | None) -> None:
    fake.version = version
    create(fake, model)
    assert list(fake.made) == ["mine:latest"]


def test_an_ollama_that_is_slow(fake: FakeOllama, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answered = threading.Event()
    monkeypatch.setattr(fake, "show", lambda name: answered.wait(20) and {})
    slow = Ollama(fake.host, patience=2)
    with pytest.raises(EngineError, match="did not take the model 'mine': timed out"):
        slow.create("mine", model, template="", system="", stop=[], parameters={}, licence="")
    answered.set()
    assert fake.made == {}


def test_ollama_itself_may_quantize(fake: FakeOllama, model: Path) -> None:
    create(fake, model, quantize="Q4_K_M")
    assert fake.created[0]["quantize"] == "Q4_K_M"
    assert list(fake.made) == ["mine:latest"]


def test_a_version_that_ignores_the_type_gets_no_model(fake: FakeOllama, model: Path) -> None:
    fake.ignores = frozenset({"quantize"})
    with pytest.raises(EngineError, match=r"was to make Q4_K_M of the file and says that it is F32; leave --quantize"):
        create(fake, model, quantize="Q4_K_M")
    assert fake.made == {}


def test_a_model_is_removed(fake: FakeOllama, model: Path) -> None:
    create(fake, model)
    Ollama(fake.host).remove("mine")
    assert fake.made == {}
    with pytest.raises(EngineError, match=r"did not remove 'mine'.*not found"):
        Ollama(fake.host).remove("mine")


@pytest.mark.parametrize("shape", many_rows(), ids=lambda shape: f"{shape.session}{shape.turn}")
def test_what_it_renders_is_what_training_rendered_but_for_the_spelling_of_json(
    fake: FakeOllama, model: Path, tiny_base: Base, tiny_renderer: Renderer, shape: Row
) -> None:
    described = describe_for_ollama(tiny_base, tiny_renderer)
    create(fake, model, **msgspec.structs.asdict(described))
    text = Ollama(fake.host).render("mine", shape.prompt, shape.tools)
    expected = tiny_renderer.prompt_text(shape.prompt, shape.tools)
    assert text is not None
    assert same_but_for_json(text, expected)
    if not shape.tools and not any(message.tool_calls for message in shape.prompt):
        assert text == expected
    assert not same_but_for_json(text, expected + " ")


def test_a_version_that_does_not_tell_what_it_renders(fake: FakeOllama, model: Path) -> None:
    create(fake, model)
    fake.renders = False
    assert Ollama(fake.host).render("mine", [user("?")]) is None
    with pytest.raises(EngineError, match=r"does not render for 'other'.*not found"):
        Ollama(fake.host).render("other", [user("?")])


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
    fake.made = {"mine:latest": {}, "other:1b": {}}
    assert server.names() == ["mine:latest", "other:1b"]
    assert server.has("mine")
    assert server.has("other:1b")
    assert not server.has("other")
    assert not server.has("min")
    fake.broken = True
    assert not server.answers()
    assert server.version() is None
    with pytest.raises(EngineError, match="does not list its models"):
        server.has("mine")


def test_an_answer_comes_piece_by_piece(fake: FakeOllama) -> None:
    fake.made = {"mine:latest": {}}
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
    fake.made = {"mine:latest": {}}
    fake.on_chat = (
        {"model": "mine", "message": {"role": "assistant", "content": "It "}, "done": False},
        {"error": "out of memory"},
    )
    pieces = Ollama(fake.host).chat("mine", [user("?")], Sampling())
    assert next(pieces) == "It "
    with pytest.raises(EngineError, match="out of memory"):
        next(pieces)


def test_an_answer_that_breaks_off_is_no_answer(fake: FakeOllama) -> None:
    fake.made = {"mine:latest": {}}
    fake.on_chat = ({"model": "mine", "message": {"role": "assistant", "content": "It "}, "done": False},)
    with pytest.raises(EngineError, match="broke off while it answered as 'mine'"):
        list(Ollama(fake.host).chat("mine", [user("?")], Sampling()))


def test_an_answer_without_an_end_is_given_up(fake: FakeOllama, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replies, "LARGEST", 200_000)
    fake.made = {"mine:latest": {}}
    fake.on_chat = repeat({"model": "mine", "message": {"role": "assistant", "content": "x" * 1000}, "done": False})
    words = rf"Ollama at {fake.host} .*'mine'.*: its reply goes on after 0\.2 MB and was given up"
    with pytest.raises(EngineError, match=words):
        list(Ollama(fake.host).chat("mine", [user("?")], Sampling()))
    with pytest.raises(EngineError, match=words):
        create(fake, model)
    assert fake.made == {"mine:latest": {}}
    fake.on_generate = lambda asked: {"response": "x" * 200_000, "done": True}
    with pytest.raises(EngineError, match=words):
        Ollama(fake.host).complete("mine", "?", Sampling())


def test_whether_a_name_holds_a_file(fake: FakeOllama, model: Path) -> None:
    """Only an Ollama that stores the file as it came can say so."""
    create(fake, model)
    sha256 = hashlib.sha256(model.read_bytes()).hexdigest()
    assert not Ollama(fake.host).holds("mine", sha256)
    fake.rewrites = False
    assert Ollama(fake.host).holds("mine", sha256)
    assert not Ollama(fake.host).holds("mine", "0" * 64)


def test_a_check_that_fails_keeps_the_model_from_its_name(fake: FakeOllama, model: Path) -> None:
    def refuse(name: str) -> None:
        assert list(fake.made) == [full(name)]
        raise EngineError("it renders otherwise")

    with pytest.raises(EngineError, match="renders otherwise"):
        create(fake, model, check=refuse)
    assert fake.made == {}


def test_renderings_are_counted_and_a_wrong_template_is_shown(
    fake: FakeOllama, model: Path, tiny_base: Base, tiny_renderer: Renderer
) -> None:
    described = describe_for_ollama(tiny_base, tiny_renderer)
    create(fake, model, **msgspec.structs.asdict(described))
    server, shapes = Ollama(fake.host), plain_conversations()
    rows = [*many_rows(), row(user("One"), user("Two"), says("Three"))]
    found = check_rendering(server, "mine", tiny_renderer, shapes, rows)
    assert found is not None
    assert (found.checked, found.different) == (len(shapes) + len(rows), 1)
    assert found.identical > found.but_for_json > 0
    assert found.first_difference is not None
    assert "One" in found.first_difference
    fake.made["mine:latest"]["template"] = described.template.replace("assistant\n", "assistant \n")
    with pytest.raises(EngineError, match=r"renders 'one question' differently.*--deploy embedded"):
        check_rendering(server, "mine", tiny_renderer, shapes, [])
    fake.renders = False
    assert check_rendering(server, "mine", tiny_renderer, shapes, []) is None
