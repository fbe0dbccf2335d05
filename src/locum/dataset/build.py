"""One session to rows and drops: walk the turns, judge each, shorten its prompt. A function of its arguments alone,
so that many sessions are built at once; what concerns all of them together is settled in `locum.dataset.write`."""

from hashlib import sha256

import msgspec

from locum.dataset.context import Window
from locum.dataset.contrast import CONTRASTED, After, Contrast, aftermath, contrast_of
from locum.dataset.details import Held
from locum.dataset.documents import Handling, Standing, find_standing, in_force
from locum.dataset.facts import Facts
from locum.dataset.families import FamilyRules, family_of
from locum.dataset.legibility import judge
from locum.dataset.near_duplicates import compared
from locum.dataset.once import OncePerMessage
from locum.dataset.store import assemble_row, encode_tools
from locum.dataset.turns import Step, Turn, steps
from locum.errors import DatasetError
from locum.files import digest
from locum.sessions.lineage import message_key
from locum.settings import FamilyRule
from locum.types import ENDORSED, Drop, Message, Row, Session, Tier, Usage

_EXCERPT = 200


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What a user may choose about a dataset."""

    context_chars: int = 6000
    """Budget of a prompt, in characters; at least 1000."""
    response_chars: int = 3000
    """Budget of a response, in characters; at least 1."""
    context: Handling = "keep"
    """Whether standing documents stay in the prompts."""
    families: tuple[FamilyRule, ...] = ()
    """The user's rules; the first that fits a turn names its family."""

    def check(self) -> None:
        """Refuse budgets that no prompt can be built in.

        Raises:
            DatasetError: one of them is too small.
        """
        if self.context_chars < 1000 or self.response_chars < 1:
            raise DatasetError(
                f"budgets of {self.context_chars} characters a prompt and {self.response_chars} a response "
                "are too small: give at least 1000 and 1"
            )


class Made(msgspec.Struct, frozen=True, array_like=True):
    """What has to be known of a row to settle it among all others."""

    id: str
    content: bytes
    """Digest of prompt, response; equal for rows that differ in spacing and in the ids of calls alone."""
    family: str
    tier: Tier
    model: str
    """"provider/model", as far as the log says."""
    shortened: bool
    time: str | None


class Built(msgspec.Struct, frozen=True, array_like=True):
    """One turn: a row, or the reason why it is none."""

    index: int
    reason: str
    """Why it is dropped; empty for a row, which may still become a drop among all others."""
    excerpt: str
    key: bytes
    """The same in every copy of the turn's message; empty where the log gives it no id."""
    narrates: bool
    row: Made | None
    contrast: Contrast | None
    """What the turn is kept aside as, where it is a drop that something can be learned from."""
    usage: Usage | None = None
    """What the turn took, where the log counts it."""


class BuiltSession(msgspec.Struct, frozen=True, array_like=True):
    """All turns of a session, and the documents that stand in it."""

    id: str
    source: str
    lineage: str
    turns: tuple[Built, ...]
    lines: tuple[bytes, ...]
    """The rows among the turns, as `encode_row` writes them."""
    texts: tuple[tuple[str, str], ...]
    """Their questions and answers, to be signed (`near_duplicates.both_signatures`)."""
    standing: tuple[Standing, ...]
    provider: str = ""
    model: str = ""
    """"provider/model", as far as the log says."""

    def drop(self, turn: Built, reason: str) -> Drop:
        """A turn of it as a drop."""
        return Drop(self.id, turn.index, reason, turn.excerpt, self.source, self.lineage)


def build_session(session: Session, options: Options) -> BuiltSession:
    """Every turn of a redacted session, as a row or as a drop, in time linear in the session's length."""
    session, standing = find_standing(session, options.context)
    built: list[Built] = []
    walk = _Walk(session, standing, options)
    for part in steps(session):
        if isinstance(part, Step):
            walk.window.push(part)
            continue
        made = walk.row(part)
        reason = made if isinstance(made, str) else ""
        name = part.message.id
        built.append(
            Built(
                index=part.index,
                reason=reason,
                excerpt=excerpt(part.message),
                key=b"" if name is None else message_key(session.format, name),
                narrates=part.narrates,
                row=None if isinstance(made, str) else made,
                contrast=walk.contrast(part, reason) if reason in CONTRASTED else None,
                usage=part.message.usage,
            )
        )
    return BuiltSession(
        session.id,
        session.source,
        session.lineage,
        tuple(built),
        tuple(walk.lines),
        tuple(walk.texts),
        standing,
        session.provider or "unknown",
        model_of(session),
    )


class _Walk:
    """What is carried along a session from turn to turn."""

    def __init__(self, session: Session, standing: tuple[Standing, ...], options: Options) -> None:
        self._session, self._standing, self._options = session, standing, options
        self._tools = digest(session.tools)
        self._encoded_tools = encode_tools(session.tools)
        self._facts = OncePerMessage(Facts)
        self._rules = FamilyRules(options.families)
        self._held = Held(session)
        self._after: dict[int, After] | None = None
        self.window = Window(options.context_chars, options.response_chars)
        self.lines: list[bytes] = []
        """The rows as they are written."""
        self.texts: list[tuple[str, str]] = []
        """Their questions and answers."""

    def row(self, turn: Turn) -> Made | str:
        """The turn's row, or the reason why it has none."""
        session = self._session
        reason = judge(session, turn, copied=False, response_chars=self._options.response_chars)
        if reason is not None:
            return reason
        shortened = self.window.prompt()
        if shortened is None:
            return "context_too_long"
        prompt, left_out = shortened
        if self._held.missing(turn, prompt):
            return "rests_on_missing"
        messages = (*prompt, turn.response)
        facts = self._facts.of(messages)
        content = sha256(b"".join([known.content for known in facts])).hexdigest()
        structure, family = self._families(turn, prompt)
        row = Row(
            id=digest([structure, content, self._tools]),
            session=session.id,
            lineage=session.lineage,
            turn=turn.index,
            family=family,
            messages=messages,
            tools=session.tools,
            time=turn.message.time,
            format=session.format,
            source=session.source,
            provider=session.provider,
            model=session.model,
            tier=_tier(session, turn),
            shortened=left_out,
            refines=None if family == structure else structure,
            documents=in_force(self._standing, turn.index),
        )
        self.lines.append(assemble_row(row, [known.encoded for known in facts], self._encoded_tools))
        self.texts.append(compared(messages, lambda at: facts[at].levelled))
        return Made(
            id=row.id,
            content=bytes.fromhex(content)[:16],
            family=family,
            tier=row.tier,
            model=model_of(session),
            shortened=left_out > 0,
            time=row.time,
        )

    def contrast(self, turn: Turn, reason: str) -> Contrast | None:
        """What a turn that was taken back is kept aside as; None where its prompt does not carry it."""
        shortened = self.window.prompt()
        if shortened is None or self._held.missing(turn, shortened[0]):
            return None
        if self._after is None:
            self._after = aftermath(self._session)
        _, family = self._families(turn, shortened[0])
        return contrast_of(self._session, turn, reason, shortened[0], family, self._after)

    def _families(self, turn: Turn, prompt: tuple[Message, ...]) -> tuple[str, str]:
        """By structure, and by the user's rules."""
        structure = family_of(self._session, prompt, turn)
        return structure, self._rules.refine(structure, self._session, turn) or structure


def _tier(session: Session, turn: Turn) -> Tier:
    """`verified` where the session's ground truth says so, a signal speaks for the turn, or its calls succeeded and
    nothing speaks against it."""
    if session.reward is not None:
        return "verified"  # a lower reward than 1 has dropped the whole session
    signals = set(turn.message.signals)
    if signals - ENDORSED:
        return "recorded"
    calls = turn.response.tool_calls
    return "verified" if signals or (calls and len(turn.results) == len(calls)) else "recorded"


def model_of(session: Session) -> str:
    """ "provider/model", as far as the log says."""
    return f"{session.provider or 'unknown'}/{session.model or 'unknown'}"


def excerpt(message: Message) -> str:
    """The beginning of a turn, its calls by name and arguments."""
    said = " ".join(message.content[: 2 * _EXCERPT].split())
    for call in message.tool_calls:
        if len(said) >= _EXCERPT:
            break
        arguments = msgspec.json.encode(call.arguments)[: 8 * _EXCERPT].decode("utf-8", "ignore")
        said = f"{said} {call.name}({' '.join(arguments.split())})".lstrip()
    return said[:_EXCERPT]
