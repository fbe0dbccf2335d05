"""What the agent answered, kept by the digest of the request, so that nothing is paid for twice.

    LOCUM_HOME/replies/DIGEST.json

A reply belongs to a session of the logs as the row does that it answers: `locum forget` removes it with the session.
"""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import msgspec

from locum import files, home
from locum.evaluation.agent.dialects import Reply


class Kept(msgspec.Struct, frozen=True):
    """One file."""

    session: str
    """Whose prompt was answered."""
    reply: Reply


class Replies:
    """The replies of one address; the key takes no part in the digest.

    Args:
        address: where the requests go: the same request to another server is another request.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._folder = _folder()

    def _path(self, request: dict[str, Any]) -> Path:
        return self._folder / f"{files.digest([self._address, request])}.json"

    def get(self, request: dict[str, Any]) -> Reply | None:
        """The reply to a request, where there is one that can be read."""
        try:
            return files.read_json(self._path(request), Kept).reply
        except (FileNotFoundError, msgspec.MsgspecError):
            return None

    def put(self, request: dict[str, Any], session: str, reply: Reply) -> None:
        """Keep a reply; it is private like the log, and readable by the user alone."""
        with files.atomic_path(self._path(request)) as partial:
            partial.touch(mode=0o600)
            partial.write_bytes(msgspec.json.encode(Kept(session, reply)))


def forget_replies(sessions: Collection[str]) -> int:
    """Remove what the agent answered to prompts of these sessions; how many replies went."""
    gone = 0
    for path in sorted(_folder().glob("*.json")):
        try:
            known = files.read_json(path, Kept).session not in sessions
        except msgspec.MsgspecError:
            known = False  # what cannot be read may be anybody's
        if not known:
            path.unlink(missing_ok=True)
            gone += 1
    return gone


def _folder() -> Path:
    return home.home_folder() / "replies"
