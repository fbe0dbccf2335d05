"""Any server that speaks OpenAI's API: vLLM, llama-server, LM Studio, a gateway; and what its API does not show.

Servers differ in how much of the API they have. What one does not offer raises `NotShownError`, so that nobody takes a
check that could not be made for one that was passed.
API: https://platform.openai.com/docs/api-reference/chat and .../completions
"""

import json
import os
from collections.abc import Generator, Iterator, Sequence
from typing import Any, Self
from urllib.parse import urlsplit

import httpx

from locum.errors import EngineError, NotShownError, reason_given
from locum.runtime.at_once import complete_each
from locum.runtime.llamacpp import call_of, message_for_server
from locum.runtime.protocol import Answer, Asked, Completion, Likely, Sampling
from locum.runtime.replies import LONGEST, EndlessReplyError, bounded
from locum.types import Message

PREFIX = "openai:"
"""What a server's address begins with where an engine is named."""
KEY_VARIABLE = "LOCUM_API_KEY"
"""The environment variable with the server's key. OPENAI_API_KEY is not read: it may be another server's."""


class OpenAIServer:
    """One model of a server.

    Args:
        address: `http://HOST:PORT/v1`, with or without `openai:` before it; `/v1` is added where there is no path.
        model: the model's name there.
        patience: seconds that the server may be silent.
        longest: seconds that one reply may take, however it goes on.
        at_once: how many requests `complete_all` has under way.

    Raises:
        EngineError: the address is none, or holds a password.
    """

    def __init__(
        self, address: str, model: str, patience: float = 600, longest: float = LONGEST, at_once: int = 1
    ) -> None:
        self.url = _url(address)
        self.name = f"{PREFIX}{self.url}"
        self.model = model
        self._at_once = at_once
        key = self._key = os.environ.get(KEY_VARIABLE, "").strip()
        if not (key.isascii() and key.isprintable()):
            raise EngineError(f"{KEY_VARIABLE} holds a character that no key has; set it again")
        self._client = httpx.Client(
            base_url=self.url + "/", timeout=httpx.Timeout(patience, connect=10), **bounded(longest)
        )
        if key:
            self._client.headers["Authorization"] = f"Bearer {key}"

    def models(self) -> list[str]:
        """The names of the server's models.

        Raises:
            EngineError: it does not answer, or not as such a server does.
        """
        answer = self._json("GET", "models")
        try:
            return [str(model["id"]) for model in answer["data"]]
        except (KeyError, TypeError):
            raise EngineError(f"the server at {self.url} does not list models as OpenAI's API does") from None

    def chat(
        self, messages: Sequence[Message], sampling: Sampling, tools: Sequence[dict[str, Any]] = ()
    ) -> Iterator[str]:
        """Answer a conversation, piece by piece.

        Raises:
            EngineError: the server refuses, fails in the middle, or breaks off.
        """
        body = self._conversation(messages, tools) | _sampling(sampling) | {"stream": True}
        finished = False
        try:
            # Some servers close a connection on which they have streamed, so it is not to be used again.
            with self._client.stream("POST", "chat/completions", json=body, headers={"Connection": "close"}) as answer:
                if answer.status_code != 200:
                    answer.read()
                    raise self._refusal(answer)
                for line in answer.iter_lines():
                    for choice in self._event(line):
                        finished = finished or bool(choice.get("finish_reason"))
                        if text := (choice.get("delta") or {}).get("content"):
                            yield str(text)
        except httpx.HTTPError as error:
            raise self._failure(error) from None
        if not finished:
            raise EngineError(f"the server at {self.url} broke off in the middle of its answer; try again")

    def _event(self, line: str) -> list[dict[str, Any]]:
        """The choices in one line of a stream of server-sent events; an error is one of its events."""
        field, _, raw = line.partition(":")
        if field != "data" or raw.strip() in ("", "[DONE]"):
            return []
        try:
            event = json.loads(raw)
            if "error" in event:
                raise EngineError(f"the server at {self.url} failed in the middle of its answer: {self._reason(event)}")
            return list(event.get("choices") or ())
        except (ValueError, TypeError, AttributeError):
            raise EngineError(f"the server at {self.url} streams what is no JSON: {raw.strip()[:100]!r}") from None

    def generate(
        self, messages: Sequence[Message], sampling: Sampling, tools: Sequence[dict[str, Any]] = (), **more: Any
    ) -> Answer:
        """Answer a conversation at once.

        Args:
            messages: the conversation.
            sampling: how the answer is drawn.
            tools: the tools in force.
            more: further fields of the request (`logit_bias`).

        Raises:
            NotShownError: the server refuses the further fields.
            EngineError: the server does not answer, or not as OpenAI's API says.
        """
        body = self._conversation(messages, tools) | _sampling(sampling) | more
        answer = self._shown("chat/completions", body) if more else self._json("POST", "chat/completions", body)
        choice = self._choice(answer)
        message = choice.get("message") or {}
        return Answer(
            text=str(message.get("content") or ""),
            tool_calls=tuple(call_of(call) for call in message.get("tool_calls") or ()),
            finish=str(choice.get("finish_reason") or ""),
            prompt_tokens=_count(answer),
        )

    def first_tokens(
        self, messages: Sequence[Message], count: int, tools: Sequence[dict[str, Any]] = ()
    ) -> list[Likely]:
        """The likeliest first tokens of the answer to a conversation, likeliest first.

        Raises:
            NotShownError: the server gives no `logprobs`.
            EngineError: it does not answer.
        """
        body = self._conversation(messages, tools) | _sampling(_ONE) | {"logprobs": True, "top_logprobs": count}
        return _likely(self._choice(self._shown("chat/completions", body)))

    def complete(self, prompt: Sequence[int], sampling: Sampling) -> Completion:
        """Continue a prompt of token ids (`/completions`).

        Raises:
            EngineError: the server has no such route, takes no token ids, or does not answer.
        """
        answer = self._json("POST", "completions", self._prompt(prompt) | _sampling(sampling))
        choice = self._choice(answer)
        finish = "length" if choice.get("finish_reason") == "length" else "stop"
        return Completion(text=str(choice.get("text") or ""), finish=finish, prompt_tokens=_count(answer) or 0)

    def complete_all(self, asked: Sequence[Asked]) -> Generator[list[Completion], None, None]:
        """See `TextEngine.complete_all`; raises as `complete`."""
        return complete_each(self.complete, asked, self._at_once)

    def next_tokens(self, prompt: Sequence[int], count: int) -> list[Likely]:
        """The likeliest next tokens after a prompt of token ids, likeliest first.

        Raises:
            NotShownError: the server continues no token ids, or gives no `logprobs`.
        """
        body = self._prompt(prompt) | _sampling(_ONE) | {"logprobs": count}
        return _likely(self._choice(self._shown("completions", body)))

    def score(self, prompt: Sequence[int], continuation: Sequence[int]) -> list[float]:
        """Log-probability in nats of each token of `continuation` after `prompt` (`echo` with `logprobs`).

        Args:
            prompt: token ids, at least one.
            continuation: token ids.

        Raises:
            NotShownError: the server does not give back the probabilities of a prompt.
        """
        whole = [*prompt, *continuation]
        # vLLM gives back a prompt of which nothing is continued; OpenAI's own legacy models did, too.
        body = self._prompt(whole) | _sampling(_ONE) | {"max_tokens": 0, "echo": True, "logprobs": 0}
        found = (self._choice(self._shown("completions", body)).get("logprobs") or {}).get("token_logprobs")
        if not isinstance(found, list) or len(found) < len(whole):
            raise NotShownError(f"the server at {self.url} does not give the log-probabilities of a prompt")
        return [float(value) for value in found[len(prompt) : len(whole)]]

    def close(self) -> None:
        """Let the connection go."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _conversation(self, messages: Sequence[Message], tools: Sequence[dict[str, Any]]) -> dict[str, Any]:
        body: dict[str, Any] = {"model": self.model, "messages": [message_for_server(message) for message in messages]}
        return body | {"tools": list(tools)} if tools else body

    def _prompt(self, prompt: Sequence[int]) -> dict[str, Any]:
        return {"model": self.model, "prompt": list(prompt)}

    def _shown(self, path: str, body: dict[str, Any]) -> Any:
        """An answer that a server need not have."""
        try:
            return self._json("POST", path, body)
        except _RefusedError as error:
            raise NotShownError(str(error)) from None

    def _json(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        try:
            answer = self._client.request(method, path, json=body)
            if answer.status_code != 200:
                raise self._refusal(answer)
            found = answer.json()
        except httpx.HTTPError as error:
            raise self._failure(error) from None
        except ValueError:
            raise EngineError(f"the server at {self.url} answers /{path} with what is no JSON") from None
        if isinstance(found, dict) and found.get("error"):
            raise EngineError(f"the server at {self.url} failed: {self._reason(found)}")
        return found

    def _choice(self, answer: Any) -> dict[str, Any]:
        try:
            choice = answer["choices"][0]
            return choice if isinstance(choice, dict) else {}
        except (LookupError, TypeError):
            raise EngineError(
                f"the server at {self.url} answers without a choice, as OpenAI's API never does"
            ) from None

    def _refusal(self, answer: httpx.Response) -> EngineError:
        status = answer.status_code
        if status in (401, 403):
            there = "the one in it is not accepted" if self._key else "it is not set"
            return EngineError(f"the server at {self.url} wants a key ({status}): put it in {KEY_VARIABLE}; {there}")
        try:
            reason = self._reason(answer.json())
        except ValueError:
            reason = self._reason(answer.text)
        said = f"the server at {self.url} answered {status} for {self.model!r}: {reason}"
        # What a server has not, it refuses so; 429 and 5xx say nothing of what it has.
        return _RefusedError(said) if status in (400, 404, 405, 422, 501) else EngineError(said)

    def _failure(self, error: httpx.HTTPError) -> EngineError:
        if isinstance(error, EndlessReplyError):
            return EngineError(f"the server at {self.url} is not usable: {error}")
        return EngineError(f"the server at {self.url} does not answer: {str(error) or type(error).__name__}")

    def _reason(self, answer: Any) -> str:
        return reason_given(answer, self._key)


class _RefusedError(EngineError):
    """A request that this server does not take."""


_ONE = Sampling(max_tokens=1)


def _url(address: str) -> str:
    text = address.removeprefix(PREFIX).rstrip("/")
    try:
        parts = urlsplit(text)
        wrong = parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0
    except ValueError:  # a port that is no number
        raise EngineError(f"{text!r} is no address of a server; give openai:http://HOST:PORT/v1") from None
    if parts.password is not None or parts.username is not None:
        raise EngineError(f"a server's address must hold no user or password; put the key in {KEY_VARIABLE}")
    if wrong or parts.query or parts.fragment:
        raise EngineError(f"{text!r} is no address of a server; give openai:http://HOST:PORT/v1")
    return text if parts.path else f"{text}/v1"


def _sampling(sampling: Sampling) -> dict[str, Any]:
    return {"max_tokens": sampling.max_tokens, "temperature": sampling.temperature, "seed": sampling.seed}


def _count(answer: Any) -> int | None:
    """The prompt's tokens by the server's own count; None where it does not say."""
    usage = answer.get("usage")
    count = usage.get("prompt_tokens") if isinstance(usage, dict) else None
    return count if isinstance(count, int) and count > 0 else None


def _likely(choice: dict[str, Any]) -> list[Likely]:
    """The alternatives of the first token, in the shape of the chat API or of the older completions API."""
    logprobs = choice.get("logprobs") or {}
    try:
        if content := logprobs.get("content"):
            found = [(entry["token"], entry["logprob"]) for entry in content[0]["top_logprobs"]]
        else:
            found = list((logprobs.get("top_logprobs") or [{}])[0].items())
        likely = [Likely(text=str(text), logprob=float(value)) for text, value in found]
    except (LookupError, TypeError, ValueError, AttributeError):
        raise NotShownError("the server gives log-probabilities in a form of its own") from None
    if not likely:
        raise NotShownError("the server gives no log-probabilities")
    return sorted(likely, key=lambda one: -one.logprob)
