"""The errors a user may meet. Each message says what is wrong, quotes the offending value, and says what to do.

LocumError
├── SourceError       a path given as SOURCE cannot be read, or holds no session
├── SettingsError     locum.toml says something that is no setting
├── DatasetError      no usable row, or a dataset folder that is not one
├── BaseError         the base model is unknown, unreachable, partial or of an unsupported shape
├── TrainingError     a row or a loss that must not be trained through
├── ExportError       a model file that would not answer as it did in training
├── EngineError       an engine that does not start or does not answer
│   └── NotShownError an engine whose API does not show what was asked
├── ProviderError     the agent's provider refuses, or does not answer
├── NameTakenError    a run folder or a model name that exists already
├── RunError          a run folder that is incomplete or does not fit the request
│   └── MismatchError what a verdict would rest on is not what was measured
└── UnreadableError   a file of a run or a dataset that is damaged, or of another version
"""

import msgspec


class LocumError(Exception):
    """Root of every error whose message is meant for the user; the command line prints it as one line."""


class SourceError(LocumError, ValueError):
    """A path given as SOURCE cannot be read, or holds no session."""


class SettingsError(LocumError, ValueError):
    """`locum.toml` cannot be read, or says something that is no setting."""


class DatasetError(LocumError, ValueError):
    """No usable row, or a dataset folder that is not one."""


class BaseError(LocumError, ValueError):
    """The base model is unknown, unreachable, partial or of an unsupported shape."""


class TrainingError(LocumError, ValueError):
    """A row or a loss that must not be trained through."""


class ExportError(LocumError, ValueError):
    """A model file that would not answer as it did in training."""


class EngineError(LocumError, RuntimeError):
    """An engine that does not start or does not answer."""


class NotShownError(EngineError):
    """An engine whose API does not show what was asked: no failure of the model's, and no proof of it either."""


class ProviderError(LocumError, RuntimeError):
    """The agent's provider refuses, or does not answer."""


class NameTakenError(LocumError, FileExistsError):
    """A run folder or a model name that exists already."""


class RunError(LocumError, ValueError):
    """A run folder that is incomplete or does not fit the request."""


class MismatchError(RunError):
    """What a verdict would rest on is not what was measured; `locum gate` leaves with exit code 30."""


class UnreadableError(LocumError, msgspec.ValidationError):
    """A file of a run or a dataset that is damaged, or that another version of Locum wrote."""

    def __init__(self, path: object, reason: str) -> None:
        super().__init__(
            f"{str(path)!r} is damaged, or of another version of Locum ({reason}); give the command again that wrote it"
        )
        self.reason = reason


def reason_given(answer: object, key: str) -> str:
    """Why a server refused, by its own words: on one line, at most 200 characters, and without the key.

    Args:
        answer: the body of its answer: OpenAI's and Anthropic's `{"error": {"message": TEXT}}`, the inner part of it,
            or a text.
        key: the key that the request carried, which a server may repeat; empty where there was none.
    """
    error = answer.get("error", answer) if isinstance(answer, dict) else answer
    message = error.get("message", error) if isinstance(error, dict) else error
    text = " ".join(str(message or "no reason given").split())
    if key:
        text = text.replace(key, "(key)")
    return text if len(text) <= 200 else f"{text[:199]}…"
