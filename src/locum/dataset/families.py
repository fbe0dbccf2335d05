"""The kind of work that a turn is: by its structure first, by the user's rules second."""

import re
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase

import msgspec

from locum.dataset.turns import Turn
from locum.settings import FamilyRule
from locum.types import Message, Session

FAMILIES = {
    "tool_decision": "the agent calls a tool",
    "code_review": "the agent answers, in words, a message that holds a diff",
    "reply": "the agent answers a person, or sums up what its tools told it",
    "post": "the agent speaks with nobody having spoken: a scheduled prompt or a command at most",
}
_DIFF = re.compile(r"^```diff\b|^diff --git |^@@ -\d+(?:,\d+)? \+\d+(?:,\d+)? @@", re.MULTILINE)
_LOOKED_AT = 8_000
"""Characters of a text in which a user's expression is searched for: its cost on long texts is not ours to know."""


def holds_diff(text: str) -> bool:
    """Whether a text holds a diff: fenced as one, of git's making, or with unified hunk headers."""
    return ("diff" in text or "@@ -" in text) and _DIFF.search(text) is not None


def family_of(session: Session, prompt: tuple[Message, ...], turn: Turn) -> str:
    """The family of a turn by its structure; a key of `FAMILIES`.

    Args:
        session: the session that the turn is from.
        prompt: what its row shows before it, shortened.
        turn: the turn, which knows what came before it unshortened.
    """
    if turn.response.tool_calls:
        return "tool_decision"
    if any(holds_diff(message.content) for message in turn.request):
        return "code_review"
    return "reply" if turn.addressed else "post"


class FamilyRules:
    """The user's rules, ready to be asked."""

    def __init__(self, rules: Sequence[FamilyRule] = ()) -> None:
        """Args: rules: as `locum.settings.load_settings` has checked them."""
        self._rules = [(rule, _conditions(rule)) for rule in rules]

    def refine(self, family: str, session: Session, turn: Turn) -> str | None:
        """The name of the first rule of this family whose conditions all hold; None where there is none.

        Args:
            family: the turn's family by structure.
            session: the session that the turn is from, redacted: the rules see what the rows show.
            turn: the turn.
        """
        for rule, conditions in self._rules:
            if rule.of == family and all(holds(session, turn) for holds in conditions):
                return rule.name
        return None


_Condition = Callable[[Session, Turn], bool]


def _conditions(rule: FamilyRule) -> list[_Condition]:
    """One function for each condition given, the cheap ones first."""
    found: list[_Condition] = []
    if rule.format is not None:
        found.append(lambda session, _: session.format == rule.format)
    globs: tuple[tuple[str | None, Callable[[Session], str | None]], ...] = (
        (rule.source, lambda session: session.source),
        (rule.provider, lambda session: session.provider),
        (rule.model, lambda session: session.model),
    )
    found += (_glob(glob, value) for glob, value in globs if glob is not None)
    if (tool := rule.tool) is not None:
        found.append(lambda _, turn: any(fnmatchcase(call.name, tool) for call in turn.response.tool_calls))
    if rule.response is not None:
        response = re.compile(rule.response)
        found.append(lambda _, turn: response.search(_said(turn)) is not None)
    if rule.request is not None:
        request = re.compile(rule.request)
        found.append(lambda _, turn: request.search(_asked(turn)) is not None)
    return found


def _glob(glob: str, value: Callable[[Session], str | None]) -> _Condition:
    return lambda session, _: fnmatchcase(value(session) or "", glob)


def _said(turn: Turn) -> str:
    calls = (f"{call.name} {msgspec.json.encode(call.arguments).decode()}" for call in turn.response.tool_calls)
    return "\n".join((turn.response.content, *calls)).strip()[:_LOOKED_AT]


def _asked(turn: Turn) -> str:
    return "\n\n".join(message.content[:_LOOKED_AT] for message in turn.request)[:_LOOKED_AT]
