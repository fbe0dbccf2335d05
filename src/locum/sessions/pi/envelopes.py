"""What OpenClaw writes around messages: channel envelopes and metadata before a human's words, prompts of its own
under the user role, directives and control tokens in the agent's answers.

Envelopes hold names, phone numbers and message ids, and no answer follows from them: they are cut.
"""

import re

import msgspec

_CHANNELS = (
    "BlueBubbles|Discord|Feishu|Google ?Chat|IRC|Line|Matrix|Mattermost|MSTeams|Signal|Slack|Teams|Telegram|Twitch"
    "|WebChat|WhatsApp|Zalo|Zalo Personal|iMessage"
)
_ENVELOPE = re.compile(
    rf"\[(?:(?:{_CHANNELS}) |(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) \d{{4}}-\d{{2}}-\d{{2}} )[^\]\n]*\][ \t]*\n?",
    re.IGNORECASE,
)
"""The header of a message that came through a channel: its name and sender, or at least the time."""
_MARKS = ("⟦openclaw:ctx⟧", "untrusted")
_METADATA = re.compile(
    r"^(?:[^\n]*(?:⟦openclaw:ctx⟧|\(untrusted(?: metadata|, for context)\):)"
    r"|Untrusted context \(metadata[^\n]*\):)[ \t]*\n"
    r"(?:```(?:json)?\n.*?(?:\n```[ \t]*(?:\n+|\Z)|\Z)|(?:[^\n]+\n?)*\n*)",
    re.MULTILINE | re.DOTALL,
)
"""A block of what is known of the chat and the sender: JSON in a fence, else up to the next blank line."""
_NESTED = 8
"""Envelopes in envelopes are looked for so many times."""
_LINES = re.compile(
    r"^[ \t]*(?:\[message_id:[^\]\n]*\]|\[media attached(?: \d+/\d+)?:[^\n]*\]|To send an image back, prefer[^\n]*)"
    r"[ \t]*(?:\n|\Z)",
    re.MULTILINE | re.IGNORECASE,
)
_MEDIA = re.compile(r"^[ \t]*\[media attached(?: \d+/\d+)?:", re.MULTILINE | re.IGNORECASE)
_EVENTS = re.compile(r"(?:System(?: \(untrusted\))?: \[[^\n]*(?:\n+|\Z))+")
"""Lines about what happened meanwhile, which stand before the message."""
HARNESS_PREFIXES = (
    "[cron:",
    "[Subagent Context]",
    "[Subagent Task]",
    "[Inter-session message]",
    "[System Message]",
    "<system-reminder>",
    "Read HEARTBEAT.md if it exists",
    "[OpenClaw heartbeat poll]",
    "A new session was started via",
    "A scheduled reminder has been triggered",
    "A subagent task ",
    "A background task ",
    "An async command ",
    "Pre-compaction memory flush",
    "Agent-to-agent announce step",
    "Continue where you left off. The previous model attempt failed",
)
"""How the prompts begin that OpenClaw writes itself."""
_TOKENS = r"(?:HEARTBEAT_OK|NO_REPLY|ANNOUNCE_SKIP|REPLY_SKIP)"
_CONTROL = re.compile(rf"[\W_]*{_TOKENS}[\W_]*")
_AT_END = re.compile(rf"(?:\s|\*\*)+{_TOKENS}(?:\*\*)?\s*\Z")
_TAIL = 40
"""Characters at the end of an answer in which such a token is looked for."""
_DIRECTIVE = re.compile(
    r"\[\[\s{0,4}(?:reply_to_current|reply_to\s{0,4}:[^\]\n]{0,100}|audio_as_voice)\s{0,4}\]\][ \t]*", re.IGNORECASE
)
_MEDIA_LINE = re.compile(r"^[ \t]*MEDIA:[^\n]*(?:\n|\Z)", re.MULTILINE)


class Heard(msgspec.Struct, frozen=True):
    """A text under the user role, told apart by who wrote it."""

    human: str = ""
    harness: str = ""
    media: bool = False
    """A file was attached that is not in the log as text."""


def hear(text: str) -> Heard:
    """Cut the envelope from a text under the user role, and tell the human's words from the client's."""
    text = text.strip()
    media = _MEDIA.search(text) is not None
    harness = ""
    for _ in range(_NESTED):
        before = text
        if any(mark in text for mark in _MARKS):
            text = _METADATA.sub("", text)
        text = _LINES.sub("", text).strip()
        envelope = _ENVELOPE.match(text)
        if envelope is not None and not text.startswith(HARNESS_PREFIXES):
            text = text[envelope.end() :].strip()
        events = _EVENTS.match(text)
        if events is not None:
            harness = "\n".join(filter(None, (harness, events[0].strip())))
            text = text[events.end() :].strip()
        if text == before:
            break
    if text.startswith(HARNESS_PREFIXES):
        return Heard("", "\n\n".join(filter(None, (harness, text))), media)
    return Heard(text, harness, media)


def is_control(text: str) -> bool:
    """Whether an answer is nothing but a token that tells the client to stay silent."""
    return len(text) < 100 and _CONTROL.fullmatch(text) is not None


def without_directives(text: str) -> str:
    """An answer without what it tells the client: whom to reply to, which file to send, that nothing follows."""
    text = _MEDIA_LINE.sub("", _DIRECTIVE.sub("", text)).strip()
    return text[:-_TAIL] + _AT_END.sub("", text[-_TAIL:])
