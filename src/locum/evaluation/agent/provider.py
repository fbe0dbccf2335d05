"""The agent's provider: one request after the other, by the provider's own client library.

The libraries (`openai`, `anthropic`) wait and try again where a server is busy or asks for patience (429 with
`retry-after`, 5xx, broken connections); what they give up on becomes one line here. The key is read from the
environment when it is needed, and stands in no message and no file.
"""

import os
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import msgspec

from locum.errors import ProviderError, SettingsError, reason_given
from locum.evaluation.agent.dialects import DIALECTS, Reply
from locum.runtime.replies import EndlessReplyError, bounded
from locum.settings import FILE_NAME, AgentSettings
from locum.types import Message

_BASE_URLS = {"openai": "https://api.openai.com/v1", "anthropic": "https://api.anthropic.com"}
_KEYS = {"openai": "OPENAI_API_KEY", "anthropic": "ANTHROPIC_API_KEY"}
TIMEOUT = 180.0
"""Seconds that one attempt may take: models that think first take their time."""
RETRIES = 4


class RefusedError(ProviderError):
    """The provider will not answer this one request, however often it is asked (it is too long, say)."""


class Provider:
    """An agent that can be asked.

    Args:
        settings: the `[agent]` table.
        timeout: seconds that one attempt may take.
        retries: attempts after the first.

    Raises:
        SettingsError: the table does not say whom to ask, or the key is not in the environment.
        ProviderError: the client library is not installed.
    """

    def __init__(self, settings: AgentSettings, timeout: float = TIMEOUT, retries: int = RETRIES) -> None:
        if settings.provider is None or settings.model is None:
            raise SettingsError(
                "--agent asks the agent itself, and nothing says who that is: set `provider` and `model` under "
                f"[agent] in {FILE_NAME} (docs/settings.md)"
            )
        self.name, self.model = settings.provider, settings.model
        self.base_url = settings.base_url or _BASE_URLS[self.name]
        self.host = urlsplit(self.base_url).netloc
        self.max_tokens = settings.max_tokens
        self._dialect = DIALECTS[self.name]
        self._key = _key(settings)
        try:
            if self.name == "openai":
                import openai as library

                make: Any = library.OpenAI
            else:
                import anthropic as library

                make = library.Anthropic
        except ImportError:
            raise ProviderError(f"asking the agent needs the package {self.name}: pip install 'locum[agent]'") from None
        self._library: Any = library
        self._client = make(
            api_key=self._key,
            base_url=self.base_url,
            timeout=timeout,
            max_retries=retries,
            http_client=library.DefaultHttpxClient(**bounded(timeout)),
        )

    def request(self, prompt: Sequence[Message], tools: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """The body that asks for an answer to a prompt."""
        return self._dialect.request(self.model, prompt, tools, self.max_tokens)

    def ask(self, request: dict[str, Any]) -> Reply:
        """The answer to a request.

        Raises:
            RefusedError: this request is refused for good.
            ProviderError: no request would be answered now.
        """
        errors, who = self._library, f"the agent's provider ({self.host})"
        try:
            return self._dialect.reply(self._client.post(self._dialect.path, cast_to=object, body=request))
        except (errors.AuthenticationError, errors.PermissionDeniedError) as error:
            raise ProviderError(
                f"{who} answers {error.status_code}: it does not accept the key, or not for {self.model!r}; set "
                "another in the variable that agent.key_env names"
            ) from None
        except errors.NotFoundError:
            raise ProviderError(
                f"{who} answers 404: it does not know the model {self.model!r}, or agent.base_url is not its address"
            ) from None
        except errors.RateLimitError as error:
            wait = error.response.headers.get("retry-after")
            patience = f" in {wait} s" if wait and wait.isdigit() else " later"
            raise ProviderError(
                f"{who} answers 429: too many requests, or nothing left to pay with ({self._reason(error)}); give the "
                f"same command again{patience}"
            ) from None
        except errors.APITimeoutError:
            raise ProviderError(f"{who} gave no answer in time; give the same command again") from None
        except errors.APIConnectionError as error:
            if isinstance(error.__cause__, EndlessReplyError):
                raise self._endless(error.__cause__) from None
            cause = type(error.__cause__).__name__ if error.__cause__ else "no connection"
            raise ProviderError(
                f"{who} cannot be reached, or broke off in the middle of an answer ({cause}); give the same command "
                "again"
            ) from None
        except EndlessReplyError as error:  # versions of the libraries differ in what they let through
            raise self._endless(error) from None
        except errors.APIStatusError as error:
            if error.status_code in (400, 413, 422):
                raise RefusedError(f"{who} answers {error.status_code}: {self._reason(error)}") from None
            raise ProviderError(
                f"{who} answers {error.status_code}: {self._reason(error)}; give the same command again later"
            ) from None
        except (msgspec.ValidationError, ValueError):
            raise ProviderError(
                f"{who} answers with something that is no answer of the {self.name} API; check agent.base_url and "
                "agent.provider"
            ) from None

    def _endless(self, error: EndlessReplyError) -> ProviderError:
        return ProviderError(f"the agent's provider ({self.host}) cannot be used: {error}; check agent.base_url")

    def _reason(self, error: Any) -> str:
        return reason_given(error.body, self._key)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def __enter__(self) -> "Provider":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _key(settings: AgentSettings) -> str:
    """The key from the environment; a server of one's own may need none, and gets a word that is none."""
    assert settings.provider is not None
    if settings.base_url is not None and settings.key_env is None:
        return "none"
    key = os.environ.get(settings.key_env or _KEYS[settings.provider], "").strip()
    if not key:
        named = "that agent.key_env names" if settings.key_env else _KEYS[settings.provider]
        raise SettingsError(f"the environment variable {named} is empty; put the key of the agent's provider there")
    return key
