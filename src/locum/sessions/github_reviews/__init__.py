"""Reviews and comments of GitHub pull requests, as `gh api`, `gh pr view --json` and GraphQL give them.

`records` says what each record is, `texts` what was written and about what, `threads` builds the sessions. A session
is one thread: the title of its pull request where the file holds it, the file and the diff above the commented line,
then who said what. Records are counted instead of lines: one is a comment, a review or a pull request, wherever it
stands, and a line that cannot be read counts as one.

Verified on exports of git-appraise in the shape of REST's inline comments; everything else is from GitHub's
documentation. A log holds no diff for what is about no line of it: there the agent's words count as `unreadable`
unless they answer a person.
"""

from pathlib import Path

from locum.sessions.github_reviews.records import Records, holds_reviews, plain_login
from locum.sessions.github_reviews.threads import FORMAT, agents_of, sessions_of
from locum.sessions.json_records import head_values, read_records
from locum.sessions.ledger import Ledger
from locum.sessions.reader import FileReading

_MARKS = (
    b'"diff_hunk"',
    b'"diffHunk"',
    b'"submitted_at"',
    b'"submittedAt"',
    b'"issue_url"',
    b'"reviewThreads"',
    b'"authorAssociation"',
)


class GitHubReviews:
    """Reader of pull requests' reviews and comments.

    Args:
        agents: logins of the accounts whose comments are the agent's, in any case. Empty: the apps' accounts where
            the file holds any, else the one that wrote the most comments.
    """

    name = FORMAT

    def __init__(self, agents: frozenset[str] = frozenset()) -> None:
        self._agents = frozenset(map(plain_login, agents))

    def detects(self, head: bytes, path: Path) -> bool:
        """One comment or review is enough, or a pull request that holds them."""
        return any(mark in head for mark in _MARKS) and any(map(holds_reviews, head_values(head, path)))

    def read(self, path: Path) -> FileReading:
        """A session for every thread in which the agent says something; its account is the session's model."""
        ledger = Ledger(path)
        records = Records(path, ledger)
        whole = Ledger(path)  # of what is read before there are records to count
        for _, value in read_records(path, whole):
            records.add(value)
        for bad in whole.bad_lines():
            records.bad(f"line {bad.line}: {bad.reason}")
        agents = self._agents or agents_of(records.comments)
        sessions = sessions_of(records, agents, str(path), ledger)
        return FileReading(str(path), self.name, tuple(sessions), ledger.lines())
