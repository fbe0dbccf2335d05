"""Where a server's reply ends, if the server itself does not end it: by size, by time, and by its encoding.

A server that is broken, or is none of the kind it is taken for, can send for ever: httpx would keep what comes until
memory is full, and its timeouts count the silence between two pieces alone.
"""

import time
from collections.abc import Iterable, Iterator
from typing import Any

import httpx

LARGEST = 64 << 20
"""Bytes of a reply that are read. The largest that are meant to come are smaller by far: the log-probabilities of a
prompt of 128,000 tokens take some 15 MB, an answer of 32,000 tokens streamed in pieces of 400 bytes 13 MB."""
LONGEST = 3600.0
"""Seconds that a reply may take: 4,096 tokens at little more than one a second, which is a slow machine's pace."""


class EndlessReplyError(httpx.HTTPError):
    """A reply that is cut off here; says why."""


def bounded(seconds: float | None = None) -> dict[str, Any]:
    """What an `httpx.Client` is made with, so that each reply ends, in `EndlessReplyError` if it must.

    Args:
        seconds: that a reply may take from its first byte on; None: as long as it goes on.

    Returns:
        `event_hooks` and `headers`. A transport of our own would leave the user's proxy out.
    """

    def bound(reply: Any) -> None:
        # A few bytes of a compressed reply can become any number of them, after they are counted.
        if reply.headers.get("content-encoding", "identity").lower() != "identity":
            raise EndlessReplyError("its reply is compressed, which it was asked not to do")
        pieces = reply.stream
        # Of the stream's own kind: httpx's, or httpx2's in the clients that other packages make.
        kind = type(
            "BoundedStream",
            (type(pieces),),
            {
                "__init__": lambda self: None,
                "__iter__": lambda self: _until(pieces, seconds),
                "close": lambda self: pieces.close(),
            },
        )
        reply.stream = kind()

    return {"event_hooks": {"response": [bound]}, "headers": {"Accept-Encoding": "identity"}}


def _until(pieces: Iterable[bytes], seconds: float | None) -> Iterator[bytes]:
    read, started = 0, time.monotonic()
    for piece in pieces:
        read += len(piece)
        if read > LARGEST:
            raise EndlessReplyError(f"its reply goes on after {LARGEST / 1e6:,.1f} MB and was given up")
        if seconds is not None and time.monotonic() - started > seconds:
            raise EndlessReplyError(f"its reply goes on after {seconds:,.1f} s and was given up")
        yield piece
