"""Sessions of a scripted agent: a recognisable voice, and a known rule for every decision.

The agent looks after the order desk and the code base of a small fictional shop. Its sessions are written in
Claude Code's own format. They are the sample for people who have no logs at hand, and an instrument: for
generated sessions the right decision is known, and with `chance` it is known that nothing in the prompt
predicts it.

`world` holds the facts and puts them into words, `rules` decides, `voice` speaks, `log` writes Claude Code's
lines, `script` plays a session.
"""

from functools import cached_property
from pathlib import Path

import msgspec

from locum.files import write_jsonl
from locum.sessions.scripted.rules import Decision
from locum.sessions.scripted.script import TrueDecision, play

__all__ = ["Decision", "TrueDecision", "Truth", "write_sessions"]


class Truth(msgspec.Struct, frozen=True, dict=True):
    """What is true of generated sessions: every message of the agent with its facts, its right decision and
    the one taken, in the order of the sessions and of their messages."""

    seed: int
    sessions: int
    chance: bool
    decisions: tuple[TrueDecision, ...]

    @cached_property
    def by_message(self) -> dict[str, TrueDecision]:
        """Assistant message id -> its decision."""
        return {decision.message: decision for decision in self.decisions}


def write_sessions(folder: Path, sessions: int, seed: int, *, chance: bool = False) -> Truth:
    """Write `sessions` sessions as `<folder>/<session id>.jsonl` and return the truth about them.

    The same seed gives the same bytes, and session number i is the same however many are written. Sessions
    follow each other in time, one every 15 hours or so. 30 of them hold about 100 messages worth learning
    from: some 45 % tool decisions, 20 % code reviews, 20 % replies, 15 % posts.

    With `chance`, each decision is drawn at random among those that the prompt leaves possible (an unknown
    item cannot be replaced), instead of by the rule; `TrueDecision.right` still says what the rule would have
    been. Names and ids in arguments stay those of the prompt. Nobody corrects the agent then.

    The truth does not belong among the sessions: write it elsewhere (`locum.files.write_json`, read back with
    `read_json(path, Truth)`).
    """
    folder.mkdir(parents=True, exist_ok=True)
    decisions: list[TrueDecision] = []
    for index in range(sessions):
        log, true = play(seed, index, chance=chance)
        write_jsonl(folder / f"{log.session_id}.jsonl", log.lines)
        decisions.extend(true)
    return Truth(seed=seed, sessions=sessions, chance=chance, decisions=tuple(decisions))
