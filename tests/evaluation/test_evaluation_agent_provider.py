"""Asking a real server: what goes wrong is one line, and the key is in none of them."""

from collections.abc import Iterator
from typing import Any

import pytest
from fake_provider import FakeProvider, serving
from small_models import user

from locum.errors import ProviderError, SettingsError
from locum.evaluation.agent.dialects import Reply
from locum.evaluation.agent.provider import Provider, RefusedError
from locum.runtime import replies
from locum.settings import AgentSettings


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeProvider]:
    monkeypatch.setenv("AGENT_KEY", FakeProvider.key)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving() as provider:
        yield provider


def settings(server: FakeProvider, **change: Any) -> AgentSettings:
    base = f"{server.url}/v1" if change.get("provider", "openai") == "openai" else server.url
    given = {"provider": "openai", "model": "the-agent", "base_url": base, "key_env": "AGENT_KEY", **change}
    return AgentSettings(**given)


def ask(server: FakeProvider, timeout: float = 5.0, retries: int = 2, **change: Any) -> Reply:
    with Provider(settings(server, **change), timeout, retries) as provider:
        return provider.ask(provider.request([user("Now?")], []))


@pytest.mark.parametrize("name", ["openai", "anthropic"])
def test_it_asks_and_is_answered(server: FakeProvider, name: str) -> None:
    assert ask(server, provider=name) == Reply("Done. It is in.", (), "stop", 100, 7)
    assert server.bodies[0]["model"] == "the-agent"
    assert FakeProvider.key not in repr(server.bodies)


@pytest.mark.parametrize("name", ["openai", "anthropic"])
def test_a_wrong_key_is_told_without_the_key(server: FakeProvider, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENT_KEY", "a-wrong-one")
    with pytest.raises(ProviderError, match=r"127\.0\.0\.1:\d+\) answers 401: it does not accept the key") as found:
        ask(server, provider=name)
    assert "a-wrong-one" not in str(found.value)
    assert len(server.bodies) == 1, "a wrong key is not tried again"


@pytest.mark.parametrize("name", ["openai", "anthropic"])
def test_a_busy_server_is_asked_again(server: FakeProvider, name: str) -> None:
    server.failures = [(429, {"retry-after-ms": "10"}, "slow down"), (529, {"retry-after-ms": "10"}, "overloaded")]
    assert ask(server, provider=name).text == "Done. It is in."
    assert len(server.bodies) == 3


def test_patience_ends(server: FakeProvider) -> None:
    server.failures = [(429, {"retry-after-ms": "1", "retry-after": "30"}, f"quota of {FakeProvider.key}")] * 3
    with pytest.raises(ProviderError, match=r"429: too many requests.*quota of \(key\).*again in 30 s") as found:
        ask(server)
    assert FakeProvider.key not in str(found.value)
    server.failures = [(500, {"retry-after-ms": "1"}, "broken\nin two")] * 3
    with pytest.raises(ProviderError, match="500: broken in two; give the same command again later"):
        ask(server)


def test_a_server_that_is_slow_breaks_off_or_is_not_there(server: FakeProvider) -> None:
    server.slow = 0.5
    with pytest.raises(ProviderError, match="no answer in time"):
        ask(server, timeout=0.1, retries=0)
    server.slow, server.breaks_off = 0.0, True
    with pytest.raises(ProviderError, match="broke off in the middle of an answer"):
        ask(server, retries=0)
    with pytest.raises(ProviderError, match="cannot be reached"):
        ask(server, retries=0, base_url="http://127.0.0.1:9/v1")


@pytest.mark.parametrize("name", ["openai", "anthropic"])
def test_an_answer_without_an_end_is_given_up(server: FakeProvider, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replies, "LARGEST", 200_000)
    server.answer = lambda body: ("x" * 200_000, [])
    with pytest.raises(ProviderError, match=r"127\.0\.0\.1:\d+\) cannot be used: its reply goes on after 0\.2 MB"):
        ask(server, provider=name, retries=0)


def test_what_cannot_be_answered(server: FakeProvider) -> None:
    server.failures = [(400, {}, "prompt is too long: 300000 tokens")]
    with pytest.raises(RefusedError, match="400: prompt is too long: 300000 tokens"):
        ask(server)
    with pytest.raises(ProviderError, match=r"404: it does not know the model 'the-agent', or agent\.base_url"):
        ask(server, base_url=f"{server.url}/elsewhere")
    server.nonsense = b"<html>hello</html>"
    with pytest.raises(ProviderError, match="no answer of the openai API"):
        ask(server)


def test_whom_to_ask_is_settled_first(server: FakeProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match=r"set `provider` and `model` under \[agent\]"):
        Provider(AgentSettings())
    with pytest.raises(SettingsError, match="set `provider`"):
        Provider(AgentSettings(provider="openai"))
    monkeypatch.delenv("AGENT_KEY")
    with pytest.raises(SettingsError, match=r"variable that agent\.key_env names is empty"):
        Provider(settings(server))
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    with pytest.raises(SettingsError, match="variable ANTHROPIC_API_KEY is empty"):
        Provider(AgentSettings(provider="anthropic", model="m"))


def test_a_server_of_ones_own_needs_no_key(server: FakeProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "not-for-others")
    monkeypatch.setattr(FakeProvider, "key", "none")
    assert ask(server, key_env=None).text == "Done. It is in."
