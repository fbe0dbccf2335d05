"""From comments to sessions: one a thread, and one for what was said about a pull request as a whole."""

from collections import Counter
from collections.abc import Sequence

from locum.sessions.github_reviews.records import Comment, Pull, Records, plain_login
from locum.sessions.github_reviews.texts import opening
from locum.sessions.ledger import Ledger
from locum.sessions.transcript import Transcript, Turn
from locum.types import Session, Signal

FORMAT = "github_reviews"
_PROVIDER = "github"


def agents_of(comments: Sequence[Comment]) -> frozenset[str]:
    """Whose comments are the agent's where nobody says so: the apps' accounts, else the one that wrote most."""
    bots = frozenset(plain_login(comment.login) for comment in comments if comment.bot)
    if bots or not comments:
        return bots
    counts = Counter(plain_login(comment.login) for comment in comments)
    return frozenset({min(counts, key=lambda login: (-counts[login], login))})


def sessions_of(records: Records, agents: frozenset[str], source: str, ledger: Ledger) -> list[Session]:
    """The sessions of a file, in the order in which their threads were opened.

    Args:
        records: the file's comments and pull requests.
        agents: plain logins of the accounts whose comments are the agent's.
        source: the file's path, for `Session.source`.
        ledger: takes down which records were used; the others get the reason why not.
    """
    threads: dict[tuple[str, str], list[Comment]] = {}
    by_key = {key: comment for comment in records.comments for key in comment.keys}
    known: dict[str, str] = {}
    for comment in sorted(records.comments, key=lambda comment: (comment.time or "", comment.record)):
        threads.setdefault((comment.pull, _thread(comment, by_key, known)), []).append(comment)
    sessions = []
    for (name, thread), comments in threads.items():
        pull = records.pulls.get(name, Pull())
        # Clocks and missing times must not put an answer before what opened the thread.
        comments.sort(key=lambda comment: comment.reply_to is not None)
        session = _session(name, pull, thread, comments, records.resolved, agents, source, ledger)
        if session is not None:
            sessions.append(session)
    answered = {session.lineage for session in sessions}
    for name, pull in records.pulls.items():
        for record in pull.records:
            if _lineage(name) in answered:
                ledger.used(record)
            else:
                ledger.noise(record, "pull request")
    return sessions


_WHOLE = "conversation"
"""The thread of what is about no line of the diff."""


def _thread(comment: Comment, by_key: dict[str, Comment], known: dict[str, str]) -> str:
    """The key of the comment that opened a comment's thread, which may itself be missing.

    Args:
        comment: the comment.
        by_key: all comments of the file.
        known: the threads found so far, by the key of a comment that is answered; kept up to date, so that long chains
            are not climbed again.
    """
    climbed: dict[str, None] = {}
    while (above := comment.reply_to) is not None and above not in climbed and above not in known and above in by_key:
        climbed[above] = None
        comment = by_key[above]
    if above is None:
        thread = (comment.place or comment.keys[0]) if comment.path or comment.hunk else _WHOLE
    elif above in climbed:
        thread = min(climbed)  # a circle, which nobody wrote, still has one name
    else:
        thread = known.get(above, above)
    known.update(dict.fromkeys(climbed, thread))
    return thread


def _session(
    name: str,
    pull: Pull,
    thread: str,
    comments: Sequence[Comment],
    resolved: set[str],
    agents: frozenset[str],
    source: str,
    ledger: Ledger,
) -> Session | None:
    transcript = Transcript(ledger)
    first = comments[0]
    about = opening(pull.title, first.path, first.line, first.hunk)
    if about:
        transcript.note(first.record, about, "harness", time=first.time)
    # The diff that most comments speak of is in the log only around a line, and only with the thread's first.
    shown = bool(first.hunk.strip()) and first.reply_to is None
    done = thread != _WHOLE and _done(comments, resolved)
    before: Comment | None = None
    for comment in comments:
        if plain_login(comment.login) in agents:
            if not shown and (before is None or plain_login(before.login) in agents):
                transcript.gap()
            transcript.say(
                Turn(
                    id=comment.keys[0],
                    time=comment.time,
                    model=comment.login,
                    provider=_PROVIDER,
                    texts=[comment.text],
                    signals=_signals(comment, pull, done and comment is first),
                    lines=[comment.record],
                )
            )
        else:
            transcript.note(comment.record, comment.text, "human", id=comment.keys[0], time=comment.time)
        before = comment
    window = transcript.write()
    if not window.turns:
        return None
    return Session(
        id=f"{name}/{thread}",
        lineage=_lineage(name),
        format=FORMAT,
        source=source,
        messages=tuple(window.messages),
        started=window.started,
        provider=window.provider,
        model=window.model,
    )


def _lineage(pull: str) -> str:
    return f"github:{pull}"


def _signals(comment: Comment, pull: Pull, done: bool) -> list[Signal]:
    signals = list(comment.signals)
    if pull.merged:
        signals.append("merged")
    if done:
        signals.append("resolved")
    return signals


def _done(comments: Sequence[Comment], resolved: set[str]) -> bool:
    """Whether a thread was resolved: GitHub says so of all of it, git-appraise's last answer of what it answers."""
    said = [comment.resolves for comment in comments[1:] if comment.resolves is not None]
    return any(key in resolved for comment in comments for key in comment.keys) or said[-1:] == [True]
