"""What is known of a message is found out once: the rows of a session show the same messages again and again."""

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from locum.types import Message

T = TypeVar("T")


class OncePerMessage(Generic[T]):
    """A function of a message that remembers what it said of every one; made for the walk along one session."""

    def __init__(self, function: Callable[[Message], T]) -> None:
        self._function = function
        self._known: dict[int, tuple[Message, T]] = {}

    def __call__(self, message: Message) -> T:
        """What the function says of one message."""
        return self.of((message,))[0]

    def of(self, messages: Iterable[Message]) -> list[T]:
        """What the function says of each."""
        said: list[T] = []
        for message in messages:
            # By identity, which is cheap; the message is kept, so that no other can take its place.
            known = self._known.get(id(message))
            if known is None:
                known = self._known[id(message)] = (message, self._function(message))
            said.append(known[1])
        return said
