"""The scripted agent's judgement: what is right, as a pure function of the facts.

Everything a rule looks at stands in the prompt, so for generated sessions the right decision is known, and a
model that has learned the rule can find it. `options` are all decisions that the facts leave possible.
"""

from decimal import Decimal
from random import Random

import msgspec

from locum.sessions.scripted.world import (
    TEAM_OF,
    Alert,
    Change,
    Claim,
    Facts,
    Incident,
    News,
    Order,
    Outcome,
    Request,
)

LIMIT = Decimal(150)
"""Euros; above it, finance decides."""
LATE_DAYS = 30
"""A claim later than this is not settled at the desk."""
VOUCHER_PERCENT = 10
MAX_RESTARTS = 2
"""A service restarted this often today is not restarted again."""


class Decision(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the agent decides: the name of a tool with its arguments, or one of `approve`, `request_changes`,
    `comply`, `push_back`, `publish`, `hold`."""

    choice: str
    arguments: dict[str, str | int] = {}


def family_of(facts: Facts) -> str:
    """The kind of work that a decision on these facts is."""
    match facts:
        case Change():
            return "code_review"
        case Request() | Outcome():
            return "reply"
        case News():
            return "post"
        case _:
            return "tool_decision"


def decide(facts: Facts) -> Decision:
    """The right decision."""
    match facts:
        case Claim(order_id=order_id):
            return Decision("lookup_order", {"order_id": order_id})
        case Order():
            return _settle(facts)
        case Alert(service=service, since=since):
            return Decision("search_logs", {"service": service, "since": since})
        case Incident(service=service, cause=cause, restarts=restarts):
            if cause in TEAM_OF:
                return _escalate(TEAM_OF[cause], service, cause)
            if restarts >= MAX_RESTARTS:
                return _escalate("platform", service, cause)
            return Decision("restart_service", {"service": service})
        case Change(flaw=flaw):
            return Decision("request_changes" if flaw else "approve")
        case Request(risky=risky):
            return Decision("push_back" if risky else "comply")
        case News(status=status):
            return Decision("publish" if status == "confirmed" else "hold")
        case Outcome():
            return Decision("comply")


def _settle(order: Order) -> Decision:
    if Decimal(order.price) > LIMIT:
        return _escalate("finance", order.order_id, "over limit")
    if order.days > LATE_DAYS:
        return _voucher(order.order_id) if order.vip else _escalate("care", order.order_id, "late claim")
    if not order.damaged:
        return _refund(order, str(Decimal(order.price) - Decimal(order.label)), "returned")
    if order.stock:
        return Decision("replace_item", {"order_id": order.order_id, "item_id": order.item_id})
    return _refund(order, order.price, "damaged")


def _refund(order: Order, amount: str, reason: str) -> Decision:
    return Decision("refund", {"order_id": order.order_id, "amount": amount, "reason": reason})


def _voucher(order_id: str) -> Decision:
    return Decision("send_voucher", {"order_id": order_id, "percent": VOUCHER_PERCENT})


def _escalate(team: str, about: str, why: str) -> Decision:
    return Decision("escalate", {"team": team, "summary": f"{about}: {why}"})


def options(facts: Facts) -> tuple[Decision, ...]:
    """Every decision possible on these facts, the right one among them. Names and ids in the arguments are
    always those of the facts; what is a judgement (team, reason, amount) varies."""
    match facts:
        case Claim(order_id=order_id):
            return (decide(facts), _voucher(order_id), *_hand_over(order_id))
        case Order():
            return (
                Decision("replace_item", {"order_id": facts.order_id, "item_id": facts.item_id}),
                _refund(facts, facts.price, "damaged"),
                _refund(facts, str(Decimal(facts.price) - Decimal(facts.label)), "returned"),
                _voucher(facts.order_id),
                *_hand_over(facts.order_id),
            )
        case Alert(service=service):
            restart = Decision("restart_service", {"service": service})
            return (decide(facts), restart, _escalate("platform", service, "unknown cause"))
        case Incident(service=service, cause=cause):
            restart = Decision("restart_service", {"service": service})
            return (restart, *(_escalate(team, service, cause) for team in ("platform", "payments", "data")))
        case Change():
            return (Decision("approve"), Decision("request_changes"))
        case Request():
            return (Decision("comply"), Decision("push_back"))
        case News():
            return (Decision("publish"), Decision("hold"))
        case Outcome():
            return (Decision("comply"),)


def _hand_over(order_id: str) -> tuple[Decision, Decision]:
    return _escalate("finance", order_id, "over limit"), _escalate("care", order_id, "late claim")


def decide_by_chance(facts: Facts, rng: Random) -> Decision:
    """One of the possible choices, each equally likely whatever the facts say; then one of its forms."""
    possible = options(facts)
    choice = rng.choice(sorted({option.choice for option in possible}))
    return rng.choice([option for option in possible if option.choice == choice])


def decide_wrongly(facts: Facts, rng: Random) -> Decision:
    """A decision that is possible and not right; where only one is possible, that one."""
    right = decide(facts)
    wrong = [option for option in options(facts) if option.choice != right.choice]
    return rng.choice(wrong) if wrong else right
