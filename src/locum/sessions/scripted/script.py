"""Playing one session: jobs come in, the agent decides, and both the log and the truth are written down."""

from datetime import datetime, timedelta
from random import Random
from typing import Literal

import msgspec

from locum.sessions.scripted import changes, voice, world
from locum.sessions.scripted.log import REJECTION, SessionLog
from locum.sessions.scripted.rules import Decision, decide, decide_by_chance, decide_wrongly, family_of
from locum.sessions.scripted.world import Answered, Facts

Event = Literal["", "corrected", "tool_error", "rejected", "interrupted"]

_STARTED = datetime(2026, 1, 5, 7, 0)
_EVERY = timedelta(hours=15)
_PATTERNS = (
    ("tool", "tool"),
    ("tool", "tool"),
    ("tool", "reply"),
    ("tool", "review"),
    ("tool", "review", "reply"),
    ("tool", "review", "reply"),
    ("review", "reply", "review"),
    ("review", "reply", "review"),
    ("post", "post", "post"),
    ("post", "post"),
)
"""The jobs of ten sessions running: every ten sessions hold the same mix, in another order. Nobody is there
when the agent posts, so posts have sessions of their own."""

_PASTED_RATE = 0.15
"""The card or the log is in the first message, so that there is nothing to look up."""
_REPORT_RATE = 0.18
"""Somebody waits to hear how a tool job went; otherwise a hook ends it."""
_INCIDENT_RATE = 0.35
_NARRATION_RATE = 0.3
_THINKING_RATE = 0.15
_REMINDER_RATE = 0.1
_ERROR_RATE = 0.05
_REJECTION_RATE = 0.04
_CORRECTION_RATE = 0.05
_INTERRUPTION_RATE = 0.06

_TITLES = ("Settle the queue", "Review of the pricing change", "Checkout alarm", "Posts for the feed")
_ANSWERS = {
    "refund": "refund of {amount} EUR booked for {order_id}",
    "replace_item": "{item_id} queued for shipping, order {order_id}",
    "send_voucher": "voucher of {percent} percent mailed for {order_id}",
    "escalate": "ticket opened with {team}",
    "restart_service": "{service} restarted, healthy",
}


class TrueDecision(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is true of one message of the agent."""

    message: str
    """The assistant message's id in the log."""
    session: str
    family: str
    facts: Facts
    """What the rule looks at; all of it can be read in the prompt."""
    right: Decision
    """What the rule says."""
    taken: Decision
    """What the agent did."""
    event: Event = ""
    """What befell the message afterwards."""


def play(seed: int, index: int, *, chance: bool) -> tuple[SessionLog, list[TrueDecision]]:
    """Session number `index` of the agent with this seed, whatever other sessions are written."""
    block, place = divmod(index, len(_PATTERNS))
    order = Random(f"{seed}/block/{block}").sample(range(len(_PATTERNS)), len(_PATTERNS))
    session = _Session(Random(f"{seed}/session/{index}"), index, chance=chance)
    return session.play(_PATTERNS[order[place]])


class _Session:
    def __init__(self, rng: Random, index: int, *, chance: bool) -> None:
        self._rng = rng
        self._chance = chance
        started = _STARTED + index * _EVERY + timedelta(seconds=rng.randrange(8 * 3600))
        self._log = SessionLog(rng, started)
        self._truth: list[TrueDecision] = []

    def play(self, jobs: tuple[str, ...]) -> tuple[SessionLog, list[TrueDecision]]:
        if self._happens(0.2):
            self._log.summary(self._rng.choice(_TITLES))
        if self._happens(0.3):
            self._log.start_hook()
        for job in self._rng.sample(jobs, len(jobs)):
            if self._happens(0.5):
                self._log.snapshot()
            match job:
                case "tool":
                    if self._happens(_INCIDENT_RATE):
                        self._incident()
                    else:
                        self._order()
                case "review":
                    change, diff = changes.draw_change(self._rng)
                    self._answer(change, changes.ask_for_review(change, diff, self._rng))
                case "reply":
                    request = world.draw_request(self._rng)
                    self._answer(request, world.ask_request(request, self._rng))
                case "post":
                    news = world.draw_news(self._rng)
                    self._log.command("post", world.news_arguments(news, self._rng))
                    self._say(news, self._decide(news))
            if self._happens(0.4):
                self._log.turn_duration()
        return self._log, self._truth

    def _order(self) -> None:
        order, item = world.draw_order(self._rng)
        card = self._happens(_PASTED_RATE)
        claim = world.Claim(order_id=order.order_id, damaged=order.damaged)
        report = self._happens(_REPORT_RATE)
        self._log.human(world.ask_about_order(order, item, self._rng, card=card, report=report))
        self._tool_job(None if card else claim, order, world.order_card(order, item), report=report)

    def _incident(self) -> None:
        alert, incident = world.draw_incident(self._rng)
        pasted = self._happens(_PASTED_RATE)
        report = self._happens(_REPORT_RATE)
        self._log.human(world.ask_about_alert(alert, incident, self._rng, log=pasted, report=report))
        self._tool_job(None if pasted else alert, incident, world.log_excerpt(alert, incident), report=report)

    def _tool_job(self, before: Facts | None, after: Facts, found: str, *, report: bool) -> None:
        """Look (where there is something to look up), act, and report to whoever waits."""
        done: Decision | None = None
        if before is not None:
            done = self._call(before, found)
            if done is None:
                return
        if before is None or done == decide(before):
            done = self._act(after)
        if done is None:
            return
        if report:
            outcome = world.Outcome(choice=done.choice, arguments=done.arguments)
            self._say(outcome, self._decide(outcome))
        else:
            self._log.stopped_by_hook()

    def _act(self, facts: Facts) -> Decision | None:
        if self._errs():
            self._call(facts, "", wrongly=True)
            self._log.human(voice.correct(facts, decide(facts), self._rng))
        return self._call(facts, "")

    def _call(self, facts: Facts, found: str, *, wrongly: bool = False) -> Decision | None:
        """Decide on a tool and call it, again where it fails. None where a person refused the call."""
        while True:
            decision = decide_wrongly(facts, self._rng) if wrongly else self._decide(facts)
            text = voice.narrate(decision, self._rng) if self._happens(_NARRATION_RATE) else None
            message, call = self._log.agent(
                thinking=self._thought(facts), text=text, tool=(decision.choice, dict(decision.arguments))
            )
            if not found and not wrongly and self._happens(_REJECTION_RATE):
                self._log.result(call, REJECTION, error=True)
                self._log.interruption(of_tool=True)
                self._record(message, facts, decision, "rejected")
                return None
            if not wrongly and self._happens(_ERROR_RATE):
                self._log.result(call, f"<tool_use_error>{decision.choice} timed out</tool_use_error>", error=True)
                self._record(message, facts, decision, "tool_error")
                continue
            answer = _ANSWERS.get(decision.choice, "").format(**decision.arguments) or found
            self._log.result(call, answer, reminder=self._happens(_REMINDER_RATE))
            self._record(message, facts, decision, "corrected" if wrongly else "")
            return decision

    def _answer(self, facts: world.Change | world.Request, prompt: str) -> None:
        self._log.human(prompt)
        if self._errs():
            self._say(facts, decide_wrongly(facts, self._rng), "corrected")
            again = prompt[prompt.index("\n```") :] if isinstance(facts, world.Change) else ""
            self._log.human(voice.correct(facts, decide(facts), self._rng) + again)
        elif isinstance(facts, world.Request) and self._happens(_INTERRUPTION_RATE):
            self._say(facts, self._decide(facts), "interrupted")
            self._log.interruption()
            self._log.human(f"Sorry, I slipped. {prompt}")
        self._say(facts, self._decide(facts))

    def _say(self, facts: Answered, decision: Decision, event: Event = "") -> None:
        text = voice.say(decision, facts, self._rng)
        if event == "interrupted":
            text = text[: self._rng.randrange(8, 24)]
        message, _ = self._log.agent(thinking=self._thought(facts), text=text, tool=None)
        self._record(message, facts, decision, event)

    def _decide(self, facts: Facts) -> Decision:
        return decide_by_chance(facts, self._rng) if self._chance else decide(facts)

    def _errs(self) -> bool:
        """Whether a wrong decision and its correction come first; by chance there is no wrong to correct."""
        return not self._chance and self._happens(_CORRECTION_RATE)

    def _thought(self, facts: Facts) -> str | None:
        return voice.think(facts, self._rng) if self._happens(_THINKING_RATE) else None

    def _record(self, message: str, facts: Facts, taken: Decision, event: Event) -> None:
        self._truth.append(
            TrueDecision(
                message=message,
                session=self._log.session_id,
                family=family_of(facts),
                facts=facts,
                right=decide(facts),
                taken=taken,
                event=event,
            )
        )

    def _happens(self, rate: float) -> bool:
        return self._rng.random() < rate
