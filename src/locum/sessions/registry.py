"""The log formats that are known. A new one is a module of its own and one line in `READERS`."""

from functools import lru_cache
from pathlib import Path

from locum.sessions.aider import Aider
from locum.sessions.alpaca import Alpaca
from locum.sessions.claude_code import ClaudeCode
from locum.sessions.codex import Codex
from locum.sessions.essay import Essay
from locum.sessions.gemini_cli import GeminiCLI
from locum.sessions.github_reviews import GitHubReviews
from locum.sessions.jsonl import BOM, HEAD
from locum.sessions.langfuse import Langfuse
from locum.sessions.langsmith import LangSmith
from locum.sessions.openai_chat import OpenAIChat
from locum.sessions.opencode import OpenCode
from locum.sessions.openhands import OpenHands
from locum.sessions.otel import OpenInference, OTelGenAI
from locum.sessions.pi import Pi
from locum.sessions.reader import FileReading, Reader
from locum.sessions.request_log import RequestLog
from locum.sessions.sharegpt import ShareGPT
from locum.sessions.swe_agent import SweAgent
from locum.sessions.tau2_bench import Tau2Bench
from locum.sessions.tau_bench import TauBench
from locum.sessions.x_archive import XArchive

__all__ = ["READERS", "FileReading", "Reader", "reader_of"]


@lru_cache(maxsize=16)
def readers(agents: frozenset[str] = frozenset()) -> tuple[Reader, ...]:
    """One reader of each format, in the order in which they are asked: the more particular format first.

    Args:
        agents: who the agent is in logs that hold several people, as those logs write the names; empty: the readers
            tell by the log itself.
    """
    return (
        ClaudeCode(),
        Codex(),
        Pi(),
        GeminiCLI(),
        OpenCode(),
        XArchive(),
        TauBench(),
        Tau2Bench(),
        SweAgent(),
        OpenHands(),
        Aider(),
        LangSmith(),
        Langfuse(),
        OpenInference(),
        OTelGenAI(),
        RequestLog(),
        GitHubReviews(agents),
        ShareGPT(),
        Alpaca(),
        OpenAIChat(),
        Essay(),
    )


READERS = readers()
BEGINNING = len(BOM) + HEAD
"""Bytes of a file by which its format is recognised."""


def reader_of(path: Path, among: tuple[Reader, ...] = READERS, beginning: bytes | None = None) -> Reader | None:
    """The reader that recognises the file's content, or None.

    Args:
        path: the file.
        among: the readers that are asked, in this order.
        beginning: the file's first `BEGINNING` bytes, or all of it, where somebody has read them already.

    Raises:
        OSError: the file cannot be read.
    """
    if beginning is None:
        with path.open("rb") as file:
            beginning = file.read(BEGINNING)
    head = beginning[:BEGINNING].removeprefix(BOM)[:HEAD]
    return next((reader for reader in among if reader.detects(head, path)), None)
