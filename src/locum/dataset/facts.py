"""What rows need of a message beside its text, found out once: the rows of a session show the same messages."""

from hashlib import sha256

import msgspec

from locum.dataset.near_duplicates import levelled
from locum.dataset.store import EncodedMessage, encode_message
from locum.types import Message

_ENCODER = msgspec.json.Encoder(order="deterministic")


class Facts:
    """What is known of one message."""

    __slots__ = ("_levelled", "_message", "_spaced", "content", "encoded")

    def __init__(self, message: Message) -> None:
        """Args: message: as a row shows it."""
        self._message = message
        self._spaced = " ".join(message.content.split())
        self._levelled: str | None = None
        calls = [[call.name, call.arguments] for call in message.tool_calls]
        self.content = sha256(_ENCODER.encode([message.role, self._spaced, calls])).digest()
        """The same for two messages that differ in spacing and in the ids of their calls alone."""
        self.encoded: EncodedMessage = encode_message(message)
        """As rows hold it."""

    @property
    def levelled(self) -> str:
        """As `near_duplicates` compares it; few rows ask for more than their last messages."""
        if self._levelled is None:
            self._levelled = levelled(self._spaced, self._message.tool_calls)
        return self._levelled
