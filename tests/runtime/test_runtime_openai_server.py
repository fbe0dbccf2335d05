"""Somebody else's server: what it is sent, how each of its answers is taken, and that its key stays unsaid."""

import logging
import secrets
import time
from collections.abc import Iterator
from itertools import repeat
from pathlib import Path
from typing import Any

import pytest
from openai_stub import Stub, answer, chunk, serving
from small_models import LOOKUP, lookup, result, says, system, user

from locum.errors import EngineError, NotShownError
from locum.runtime import replies
from locum.runtime.llamacpp import LlamaCpp
from locum.runtime.openai_server import OpenAIServer
from locum.runtime.protocol import Likely, Sampling, TextEngine
from locum.training.chat_template import Renderer

CHAT = [system("Be brief."), user("Which order is late?")]


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stub]:
    monkeypatch.delenv("LOCUM_API_KEY", raising=False)
    with serving() as server:
        yield server


def test_it_is_an_engine_of_text(stub: Stub) -> None:
    checked: TextEngine = OpenAIServer(stub.url, "mine")
    assert checked.name == f"openai:{stub.url}"


# --- addresses and keys


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("openai:http://127.0.0.1:8000/v1", "http://127.0.0.1:8000/v1"),
        ("http://gpu-box:8000", "http://gpu-box:8000/v1"),
        ("openai:https://example.org/api/openai/", "https://example.org/api/openai"),
    ],
)
def test_addresses(given: str, url: str) -> None:
    assert OpenAIServer(given, "m").url == url


@pytest.mark.parametrize(
    "given",
    ["openai:", "openai:gpu-box:8000", "openai:ftp://x/v1", "openai:http://", "http://x:port/v1", "http://x/?a=1"],
)
def test_what_is_no_address(given: str) -> None:
    with pytest.raises(EngineError, match=r"is no address of a server; give openai:http://HOST:PORT/v1"):
        OpenAIServer(given, "m")


def test_a_password_in_an_address_is_refused_and_not_repeated() -> None:
    word = secrets.token_hex(8)
    with pytest.raises(EngineError, match="LOCUM_API_KEY") as refused:
        OpenAIServer(f"http://me:{word}@example.org/v1", "m")
    assert word not in str(refused.value)


def test_the_key_comes_from_its_variable_and_is_never_said(
    stub: Stub, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    key, other = (f"sk-{secrets.token_hex(16)}" for _ in range(2))
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("OPENAI_API_KEY", other)
    stub.key = key
    with pytest.raises(EngineError, match=r"wants a key \(401\): put it in LOCUM_API_KEY; it is not set"):
        OpenAIServer(stub.url, "mine").models()
    assert all(other not in str(headers) for headers in stub.headers), "another server's key stays at home"
    monkeypatch.setenv("LOCUM_API_KEY", key)
    server = OpenAIServer(stub.url, "mine")
    assert server.models() == ["mine"]
    said = [str(vars(server)["name"]), repr(server)]
    stub.reply = lambda path, body: {"error": {"message": f"no such thing for Bearer {key}"}}
    for status in (200, 400, 500):
        stub.status = status
        with pytest.raises(EngineError, match=r"no such thing for Bearer \(key\)") as refused:
            server.generate(CHAT, Sampling())
        said.append(str(refused.value))
    stub.key = "another"
    with pytest.raises(EngineError, match="the one in it is not accepted") as refused:
        server.models()
    said += [str(refused.value), caplog.text]
    assert all(key not in text for text in said)


@pytest.mark.parametrize("key", ["two\nlines", "naïve", "a\tb"])
def test_a_key_that_cannot_be_one_is_not_repeated(stub: Stub, monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("LOCUM_API_KEY", key)
    with pytest.raises(EngineError, match="holds a character that no key has") as refused:
        OpenAIServer(stub.url, "mine")
    assert key not in str(refused.value)


# --- asking


def test_what_a_conversation_is_sent_as(stub: Stub) -> None:
    chat = [*CHAT, says("", lookup("W-1", n=2)), result("late")]
    pieces = list(OpenAIServer(stub.url, "mine").chat(chat, Sampling(max_tokens=9, temperature=0.5, seed=3), [LOOKUP]))
    assert pieces == ["It ", "is."]
    ((path, sent),) = stub.asked
    assert path == "/v1/chat/completions"
    expected = {"model": "mine", "stream": True, "max_tokens": 9, "temperature": 0.5, "seed": 3}
    assert sent | expected == sent
    assert [message["role"] for message in sent["messages"]] == ["system", "user", "assistant", "tool"]
    assert sent["messages"][2]["tool_calls"][0]["function"]["arguments"] == '{"id": "W-1", "n": 2}'
    assert sent["tools"] == [LOOKUP]


def test_a_whole_answer_with_calls_and_count(stub: Stub) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "lookup", "arguments": '{"id": "W-1"}'}}
    said = answer("", "tool_calls", message={"role": "assistant", "content": None, "tool_calls": [call]})
    stub.reply = lambda path, body: said | {"usage": {"prompt_tokens": 12}}
    found = OpenAIServer(stub.url, "mine").generate(CHAT, Sampling(), [LOOKUP], logit_bias={"5": 100})
    assert (found.text, found.finish, found.prompt_tokens) == ("", "tool_calls", 12)
    assert [(one.name, one.arguments) for one in found.tool_calls] == [("lookup", {"id": "W-1"})]
    assert stub.asked[0][1]["logit_bias"] == {"5": 100}


def test_log_probabilities_in_both_shapes(stub: Stub) -> None:
    expected = [Likely("It", -0.5), Likely(" is", -1.5)]
    listed = [{"token": one.text, "logprob": one.logprob, "bytes": None} for one in reversed(expected)]
    stub.reply = lambda path, body: answer(logprobs={"content": [{"token": "It", "top_logprobs": listed}]})
    assert OpenAIServer(stub.url, "mine").first_tokens(CHAT, 2) == expected
    stub.reply = lambda path, body: answer(logprobs={"top_logprobs": [{one.text: one.logprob for one in expected}]})
    assert OpenAIServer(stub.url, "mine").next_tokens([1, 2], 2) == expected
    (_, asked), (path, sent) = stub.asked
    assert (asked["logprobs"], asked["top_logprobs"], asked["max_tokens"]) == (True, 2, 1)
    assert (path, sent["prompt"], sent["logprobs"]) == ("/v1/completions", [1, 2], 2)


def test_scoring_by_echo(stub: Stub) -> None:
    stub.reply = lambda path, body: answer(logprobs={"token_logprobs": [None, -1.0, -2.5, -0.5]})
    assert OpenAIServer(stub.url, "mine").score([7, 8], [9, 10]) == [-2.5, -0.5]
    sent = stub.asked[0][1]
    expected = {"prompt": [7, 8, 9, 10], "echo": True, "logprobs": 0, "max_tokens": 0, "temperature": 0.0}
    assert sent | expected == sent
    stub.reply = lambda path, body: answer(logprobs={"token_logprobs": [-1.0]})
    with pytest.raises(NotShownError, match="does not give the log-probabilities of a prompt"):
        OpenAIServer(stub.url, "mine").score([7, 8], [9, 10])


TOP = "top_logprobs"
NONE: list[Any] = [
    *(None, {}, {"content": []}, {"content": [{}]}, {TOP: [None]}, {TOP: [{}]}),
    *({"content": [{TOP: alternatives}]} for alternatives in ([], 3, [{"token": "a"}])),
]


@pytest.mark.parametrize("logprobs", NONE)
def test_a_server_without_log_probabilities_shows_none(stub: Stub, logprobs: Any) -> None:
    stub.reply = lambda path, body: answer(logprobs=logprobs)
    server = OpenAIServer(stub.url, "mine")
    with pytest.raises(NotShownError, match="gives"):
        server.first_tokens(CHAT, 3)
    with pytest.raises(NotShownError, match="gives"):
        server.next_tokens([1], 3)


@pytest.mark.parametrize("status", [400, 404, 405, 422, 501])
def test_what_a_server_does_not_take_it_does_not_show(stub: Stub, status: int) -> None:
    stub.status, stub.reply = status, lambda path, body: {"error": {"message": "unknown field"}}
    server = OpenAIServer(stub.url, "mine")
    with pytest.raises(NotShownError, match=rf"answered {status} for 'mine': unknown field"):
        server.next_tokens([1], 3)
    with pytest.raises(EngineError) as refused:
        server.generate(CHAT, Sampling())
    assert not isinstance(refused.value, NotShownError), "that much every such server has"


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_server_that_fails_has_not_said_what_it_lacks(stub: Stub, status: int) -> None:
    stub.status, stub.reply = status, lambda path, body: "<html>overloaded</html>"
    with pytest.raises(EngineError, match=rf"answered {status} .*overloaded") as refused:
        OpenAIServer(stub.url, "mine").next_tokens([1], 3)
    assert not isinstance(refused.value, NotShownError)


# --- answers that are none


@pytest.mark.parametrize(
    ("events", "dies", "words"),
    [
        (
            (chunk("It "), {"error": {"message": "out of memory"}}),
            False,
            "failed in the middle of its answer: out of memory",
        ),
        ((chunk("It "), chunk("is.")), False, "broke off in the middle"),
        ((chunk("It "), "[DONE]"), False, "broke off in the middle"),
        ((chunk("It "),), True, "does not answer"),
        ((chunk("It "), "{not json"), False, r"streams what is no JSON: '\{not json'"),
        ((chunk("It "), "[3]"), False, r"streams what is no JSON"),
    ],
)
def test_half_an_answer_is_none(stub: Stub, events: tuple[Any, ...], dies: bool, words: str) -> None:
    stub.events, stub.dies = events, dies
    pieces = OpenAIServer(stub.url, "mine").chat(CHAT, Sampling())
    assert next(pieces) == "It "
    with pytest.raises(EngineError, match=words):
        list(pieces)


@pytest.mark.parametrize("status", [404, 500])
def test_a_stream_that_is_refused(stub: Stub, status: int) -> None:
    stub.status, stub.reply = status, lambda path, body: {"error": {"message": "no model 'mine'"}}
    with pytest.raises(EngineError, match=rf"answered {status} for 'mine': no model 'mine'"):
        list(OpenAIServer(stub.url, "mine").chat(CHAT, Sampling()))


@pytest.mark.parametrize("said", ["", "<html>", [], {}, {"choices": []}, {"choices": None}])
def test_what_is_no_answer_of_this_api(stub: Stub, said: Any) -> None:
    stub.reply = lambda path, body: said
    with pytest.raises(EngineError, match=r"no JSON|without a choice"):
        OpenAIServer(stub.url, "mine").generate(CHAT, Sampling())
    stub.models = said
    with pytest.raises(EngineError, match=r"no JSON|does not list models"):
        OpenAIServer(stub.url, "mine").models()


def test_a_server_that_is_slow_or_gone(stub: Stub) -> None:
    stub.waits = 1.0
    for ask in (
        lambda slow: slow.generate(CHAT, Sampling()),
        lambda slow: list(slow.chat(CHAT, Sampling())),
    ):
        with pytest.raises(EngineError, match="does not answer: timed out"):
            ask(OpenAIServer(stub.url, "mine", patience=0.2))
    with serving() as gone:
        url = gone.url
    with pytest.raises(EngineError, match="does not answer"):
        OpenAIServer(url, "mine").models()


def test_a_reply_without_an_end_is_given_up(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replies, "LARGEST", 200_000)
    server = OpenAIServer(stub.url, "mine")
    words = rf"the server at {stub.url} is not usable: its reply goes on after 0\.2 MB"
    for event in (chunk("x" * 1000), chunk(), ": a line without content", "x" * 1000):
        stub.events = repeat(event if isinstance(event, dict) else f"\n{event}")
        with pytest.raises(EngineError, match=words):
            list(server.chat(CHAT, Sampling()))
    stub.reply = lambda path, body: answer("x" * 200_000)
    for ask in (lambda: server.generate(CHAT, Sampling()), lambda: server.complete([1], Sampling())):
        with pytest.raises(EngineError, match=words):
            ask()
    stub.reply = lambda path, body: answer("x" * 150_000)
    assert len(server.generate(CHAT, Sampling()).text) == 150_000, "what was read before does not count"
    stub.status, stub.reply = 500, lambda path, body: "x" * 200_001
    with pytest.raises(EngineError, match=words):
        list(server.chat(CHAT, Sampling()))


def test_a_reply_that_trickles_on_is_given_up(stub: Stub) -> None:
    def slowly() -> Iterator[Any]:
        while True:
            time.sleep(0.02)
            yield chunk("x")

    stub.events = slowly()
    with pytest.raises(EngineError, match=r"its reply goes on after 0\.3 s and was given up"):
        list(OpenAIServer(stub.url, "mine", longest=0.3).chat(CHAT, Sampling()))


def test_a_compressed_reply_is_not_unpacked(stub: Stub) -> None:
    stub.encoding = "gzip"
    with pytest.raises(EngineError, match="not usable: its reply is compressed, which it was asked not to do"):
        OpenAIServer(stub.url, "mine").generate(CHAT, Sampling())
    assert stub.headers[0]["Accept-Encoding"] == "identity"


# --- a real one


@pytest.fixture(scope="module")
def real(tiny_file: Path) -> Iterator[LlamaCpp]:
    with LlamaCpp(tiny_file, context=1024) as engine:
        yield engine


def test_llama_server_answers_as_the_embedded_engine_does(
    real: LlamaCpp, tiny_renderer: Renderer, tmp_path: Path
) -> None:
    prompt = tiny_renderer.tokens(tiny_renderer.prompt_text(CHAT))
    expected = real.complete(prompt, Sampling(max_tokens=12)).text
    with OpenAIServer(f"openai:{real.address}", "tiny") as server:
        assert len(server.models()) == 1
        assert "".join(server.chat(CHAT, Sampling(max_tokens=12))) == expected
        found = server.generate(CHAT, Sampling(max_tokens=12))
        assert (found.text, found.finish, found.prompt_tokens) == (expected, "length", len(prompt))
        completed = server.complete(prompt, Sampling(max_tokens=12))
        assert (completed.text, completed.finish, completed.prompt_tokens) == (expected, "length", len(prompt))
        first = server.first_tokens(CHAT, 5)
        assert [one.logprob for one in first] == sorted((one.logprob for one in first), reverse=True)
        assert [one.logprob for one in first] == pytest.approx(
            [one.logprob for one in real.next_tokens(prompt, 5)], abs=1e-3
        )
        again = server.next_tokens(prompt, 5)
        assert [one.text for one in again] == [one.text for one in first]
        assert [one.logprob for one in again] == pytest.approx([one.logprob for one in first], abs=1e-3)
        with pytest.raises(NotShownError, match="does not give the log-probabilities of a prompt"):
            server.score(prompt, [5])
