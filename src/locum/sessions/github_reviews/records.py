"""The records that GitHub's two APIs and its `gh` command give of a pull request, as comments of one shape.

REST: inline comments (`pulls/comments`), reviews (`pulls/N/reviews`), `issues/comments` and pull requests. GraphQL and
`gh pr view --json`: a pull request with `reviewThreads`, `reviews` and `comments`, as lists or as connections
({"nodes"} or {"edges": [{"node"}]}). Sources: https://docs.github.com/rest/pulls and https://docs.github.com/graphql.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from locum.sessions.github_reviews.texts import said
from locum.sessions.jsonl import BadRecord, check_depth, utc
from locum.sessions.ledger import Ledger
from locum.types import Signal

_STATES = frozenset({"APPROVED", "CHANGES_REQUESTED", "COMMENTED", "DISMISSED", "PENDING"})
_PULL = re.compile(r"/([^/\s]+/[^/\s]+)/(?:pulls?|issues)/(\d+)(?![\w.-])")
_INSIDE = ("reviewThreads", "reviews", "latestReviews", "comments")
"""Where a pull request holds what was said about it."""
_AROUND = ("data", "repository", "resource", "node", "nodes", "edges", "search", "pullRequest", "pullRequests")
"""What stands around pull requests in an answer of GraphQL's."""
_MERGED = ("merged", "merged_at", "mergedAt")


class Comment(msgspec.Struct):
    """What one account said once."""

    record: int
    keys: tuple[str, ...]
    """Its ids, the one that is the same in every API first; at least one."""
    pull: str
    login: str
    bot: bool
    text: str
    time: str | None
    path: str
    line: int | None
    hunk: str
    """The diff above the place, which ends at the commented line."""
    reply_to: str | None
    place: str
    """Where it stands, in exports that name no comment that is answered: what stands there is one thread."""
    signals: tuple[Signal, ...]
    resolves: bool | None
    """Whether it says that its thread is done, where such a comment says so (git-appraise)."""


class Pull(msgspec.Struct):
    """What the file says of a pull request itself."""

    title: str = ""
    merged: bool = False
    records: list[int] = []


class Records:
    """Sorts the records of a file; those that nobody said get their fate here, comments from whoever uses them."""

    def __init__(self, path: Path, ledger: Ledger) -> None:
        self.comments: list[Comment] = []
        self.pulls: dict[str, Pull] = {}
        self.resolved: set[str] = set()
        """Keys of the comments of threads that were resolved."""
        self._path = path
        self._ledger = ledger
        self._seen: set[str] = set()
        self._count = 0

    def add(self, value: Any) -> None:
        """Take a record, or an answer that holds many."""
        try:
            check_depth([value])
        except BadRecord as reason:
            self.bad(str(reason))
            return
        self._take(value, "")

    def bad(self, reason: str) -> None:
        """Count a record that cannot be read."""
        self._ledger.bad(self._next(), reason)

    def _next(self) -> int:
        self._count += 1
        return self._count

    def _take(self, value: Any, pull: str) -> None:
        kind = kind_of_record(value)
        if kind == "list":
            for inner in value:
                self._take(inner, pull)
        elif kind == "around":
            for key in _AROUND:
                if value.get(key) is not None:
                    self._take(value[key], pull)
        elif kind == "pull":
            self._pull(value)
        elif kind == "thread":
            self._thread(value, pull)
        elif kind in ("inline", "review", "issue"):
            self._comment(value, kind, pull, None)
        elif kind == "refusal":
            self._ledger.noise(self._next(), "refused by the API")
        else:
            self._ledger.unknown(self._next(), "(no comment, review or pull request)")

    def _pull(self, raw: dict[str, Any]) -> None:
        number = raw.get("number")
        name = _named(raw, "url", "html_url") or f"{self._path.stem}#{number}"
        if not isinstance(number, int) and "#" not in (_named(raw, "url", "html_url") or ""):
            name = str(self._path)
        pull = self.pulls.setdefault(name, Pull())
        pull.title = _text(raw.get("title")).strip() or pull.title
        pull.merged = pull.merged or raw.get("state") == "MERGED" or any(raw.get(key) for key in _MERGED)
        pull.records.append(self._next())
        for key in _INSIDE:
            for inner in _connected(raw.get(key)):
                self._take(inner, name)

    def _thread(self, raw: dict[str, Any], pull: str) -> None:
        first: str | None = None
        for inner in _connected(raw.get("comments")):
            if not isinstance(inner, dict):
                self._ledger.unknown(self._next(), "(no comment, review or pull request)")
                continue
            keys = _keys(inner, "inline")
            if raw.get("isResolved") is True:
                self.resolved.update(keys)
            if "body" not in inner:
                self._ledger.noise(self._next(), "state of a thread")
                continue
            # Only the thread says which file it is about, where the query asked for it there.
            about = {key: raw.get(key) for key in ("path", "line")} | inner
            self._comment(about, "inline", pull, first)
            first = first or next(iter(keys), None)

    def _comment(self, raw: dict[str, Any], kind: str, around: str, thread: str | None) -> None:
        record = self._next()
        keys = _keys(raw, kind) or (f"{self._path.stem}:{record}",)
        url = raw.get("html_url")
        text = said(_text(raw.get("body")))
        if any(key in self._seen for key in keys):
            self._ledger.noise(record, "copy")
        elif kind == "issue" and isinstance(url, str) and "/issues/" in url:
            self._ledger.noise(record, "comment on an issue")
        elif raw.get("state") == "PENDING":
            self._ledger.noise(record, "pending review")
        elif not text:
            self._ledger.noise(record, "review without words" if kind == "review" else "empty")
        else:
            self._keep(raw, kind, record, keys, text, around, thread)
        self._seen.update(keys)
        for inner in _connected(raw.get("comments")) if kind == "review" else ():
            self._take(inner, around or self._pull_of(raw))

    def _keep(
        self,
        raw: dict[str, Any],
        kind: str,
        record: int,
        keys: tuple[str, ...],
        text: str,
        around: str,
        thread: str | None,
    ) -> None:
        pull = around or self._pull_of(raw)
        login, bot = _account(raw)
        time = next((time for key in _TIMES if (time := utc(raw.get(key))) is not None), None)
        # What was mirrored from one tool to another has an id in each of them.
        same = f"{pull} {plain_login(login)} {time} {' '.join(text.split())}"
        if time is not None and same in self._seen:
            self._ledger.noise(record, "copy")
            return
        self._seen.add(same)
        title = _dict(raw.get("_review")).get("title")
        if isinstance(title, str) and title.strip():
            self.pulls.setdefault(pull, Pull()).title = title.strip()
        path = _text(raw.get("path"))
        line = next((raw[key] for key in ("line", "original_line", "originalLine") if _whole(raw.get(key))), None)
        self.comments.append(
            Comment(
                record=record,
                keys=keys,
                pull=pull,
                login=login,
                bot=bot,
                text=text,
                time=time,
                path=path,
                line=line,
                hunk=_text(raw.get("diff_hunk", raw.get("diffHunk"))),
                reply_to=_parent(raw) or thread,
                place=f"{path}:{line}" if path and "#" not in pull else "",
                signals=_signals(raw, kind),
                resolves=raw["resolved"] if isinstance(raw.get("resolved"), bool) else None,
            )
        )

    def _pull_of(self, raw: dict[str, Any]) -> str:
        """The pull request of a record that stands by itself."""
        inner = _dict(raw.get("pullRequest"))
        named = _named(raw, "pull_request_url", "issue_url", "html_url", "url") or _named(inner, "url")
        review = raw.get("pull_request_review_id")
        # Only GitHub's own records have an address; in git-appraise's the review stands for its pull request.
        return named or (review if isinstance(review, str) and review else str(self._path))


_TIMES = ("created_at", "createdAt", "submitted_at", "submittedAt", "publishedAt")


def kind_of_record(value: Any) -> str:
    """What a record is: "list", "pull", "thread", "inline", "review", "issue", "around", "refusal" or ""."""
    if isinstance(value, list):
        return "list"
    if not isinstance(value, dict):
        return ""
    said_by = isinstance(value.get("body"), str) and ("user" in value or "author" in value)
    if said_by and _text(value.get("state")) in _STATES and value.keys() & {"submitted_at", "submittedAt", "commit_id"}:
        return "review"
    if said_by and "path" in value and value.keys() & {"diff_hunk", "diffHunk"}:
        return "inline"
    if "isResolved" in value and "comments" in value:
        return "thread"
    if any(isinstance(value.get(key), list | dict) for key in _INSIDE) and not (
        "messages" in value or "model" in value
    ):
        return "pull" if value.keys() & {"number", "title", "url", "reviews", "reviewThreads", "latestReviews"} else ""
    if "title" in value and value.keys() & {"merged_at", "mergedAt"}:
        return "pull"
    if said_by and (_PULL.search(_text(value.get("issue_url"))) or "authorAssociation" in value):
        return "issue"
    if "message" in value and "documentation_url" in value:
        return "refusal"
    return "around" if any(isinstance(value.get(key), dict | list) for key in _AROUND) else ""


def holds_reviews(value: Any) -> bool:
    """Whether a value is, or has at its beginning, what only this format has."""
    for _ in range(12):
        kind = kind_of_record(value)
        if kind == "list":
            value = next((inner for inner in value if kind_of_record(inner) != "refusal"), None)
        elif kind == "around":
            value = next(value[key] for key in _AROUND if isinstance(value.get(key), dict | list))
        else:
            return kind in ("inline", "review", "issue", "thread", "pull")
    return False


def _connected(value: Any) -> Iterator[Any]:
    """The members of a list or of a connection."""
    if isinstance(value, list):
        yield from value
    elif isinstance(value, dict) and isinstance(value.get("nodes"), list):
        yield from value["nodes"]
    elif isinstance(value, dict) and isinstance(value.get("edges"), list):
        yield from (edge.get("node") if isinstance(edge, dict) else edge for edge in value["edges"])


def _keys(raw: dict[str, Any], kind: str) -> tuple[str, ...]:
    """A record's ids: those of the graph are its own, numbers only among records of its kind."""
    given = (raw.get("node_id"), raw.get("id"), raw.get("databaseId"), raw.get("fullDatabaseId"))
    return tuple(dict.fromkeys(key for value in given if (key := _key(value, kind)) is not None))


def _key(value: Any, kind: str) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int | str) or value == "":
        return None
    return f"{kind}:{value}" if isinstance(value, int) or value.isdecimal() else value


def _parent(raw: dict[str, Any]) -> str | None:
    above = _dict(raw.get("replyTo"))
    given = (raw.get("in_reply_to_id"), above.get("id"), above.get("databaseId"))
    return next((key for value in given if (key := _key(value, "inline")) is not None), None)


def _account(raw: dict[str, Any]) -> tuple[str, bool]:
    """Who wrote a record, and whether it is an app's account; accounts that were deleted are one, as on GitHub."""
    account = _dict(raw.get("user")) or _dict(raw.get("author"))
    login = _text(account.get("login")) or "ghost"
    bot = "Bot" in (account.get("type"), account.get("__typename")) or account.get("is_bot") is True
    return login, bot or plain_login(login) != login.lower()


def plain_login(login: str) -> str:
    """A login in lower case and without what marks it as an app's in some of the APIs."""
    return login.lower().removeprefix("app/").removesuffix("[bot]")


def _signals(raw: dict[str, Any], kind: str) -> tuple[Signal, ...]:
    up, down = _thumbs(raw)
    if down > up or (kind == "review" and raw.get("state") == "DISMISSED"):
        return ("corrected",)
    return ("praised",) if up > down else ()


def _thumbs(raw: dict[str, Any]) -> tuple[int, int]:
    reactions = _dict(raw.get("reactions"))
    counts = {key: reactions.get(key) for key in ("+1", "-1")}
    names = {"THUMBS_UP": "+1", "THUMBS_DOWN": "-1"}
    for group in _connected(raw.get("reactionGroups")):
        name = names.get(str(_dict(group).get("content")))
        users = _dict(_dict(group).get("users")) or _dict(_dict(group).get("reactors"))
        if name is not None:
            counts[name] = users.get("totalCount")
    up, down = (count if _whole(count) else 0 for count in counts.values())
    return int(up or 0), int(down or 0)


def _named(raw: dict[str, Any], *keys: str) -> str | None:
    """`owner/repository#number`, out of the first address that holds it."""
    found = (_PULL.search(_text(raw.get(key))) for key in keys)
    return next((f"{match[1]}#{match[2]}" for match in found if match is not None), None)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
