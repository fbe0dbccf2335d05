"""The scripted agent's voice: a decision and its facts in words.

Short declarative sentences; a corner turned with "That said,"; a pet phrase now and then; a closing line.
Each habit occurs at a known rate, and each thing can be said in several ways, so that the voice is constant
and the text is not. The voice can say any possible decision, right or wrong: what is decided is no business
of this module. Details come from the facts alone.
"""

from random import Random

from locum.sessions.scripted.rules import Decision
from locum.sessions.scripted.world import (
    STATEMENTS,
    Alert,
    Answered,
    Change,
    Claim,
    Facts,
    Incident,
    News,
    Order,
    Outcome,
    Request,
)

TURN = "That said,"
TURN_RATE = 0.6
PET_PHRASES = (
    "Plain beats clever.",
    "Small steps, dry feet.",
    "The log does not lie.",
    "Facts first, tea second.",
)
PET_RATE = 0.3
CLOSING = "Kettle on."
CLOSING_RATE = 0.5

_VERDICTS = {"approve": "Approve.", "request_changes": "Request changes."}
_OPENINGS = {
    "comply": ("Will do.", "Happy to.", "Yes. Will do.", "Will do, with pleasure."),
    "push_back": ("I would push back here.", "I'd push back on this.", "I have to push back."),
    "hold": ("Hold.", "Hold this one.", "On hold."),
}
_FLAWS = {
    "bare_except": (
        "`{name}` catches everything and says nothing.",
        "The bare except in `{name}` hides every error.",
        "A bare except turns a typo into an empty list.",
        "`{name}` should name the error it expects.",
        "With a bare except, {module} fails in silence.",
    ),
    "float_money": (
        "`{name}` counts money in floats.",
        "Money is a Decimal in this house. `{name}` makes it a float.",
        "A float loses cents, and {module} is about cents.",
        "The float in `{name}` will be wrong by a cent one day.",
    ),
    "hard_coded_secret": (
        "`{name}` is written into the code.",
        "A secret in {module} is a secret no more. Read `{name}` from the environment.",
        "`{name}` belongs in the environment.",
        "Whoever reads {module} now knows `{name}`. Take it out.",
    ),
    "missing_test": (
        "`{name}` comes without a test.",
        "There is a new function and no test. `{name}` needs one.",
        "I see `{name}`. I do not see its test.",
        "Nothing in the diff tests `{name}`. Add one, please.",
    ),
    "": (
        "I am not sure about `{name}`.",
        "`{name}` does too much at once.",
        "The change to {module} is hard to follow.",
        "`{name}` asks for a second look.",
    ),
}
_SOUND = (
    "`{name}` does one thing.",
    "The change to {module} is small and clear.",
    "I read `{name}` twice. It holds.",
    "{module} is better for it.",
    "Nothing surprises me in `{name}`.",
    "`{name}` says what it does.",
)
_DOING = {
    "deploy": (
        "The {what} goes out on {detail}.",
        "{detail} it is for the {what}.",
        "I will ship the {what} on {detail}.",
    ),
    "merge": (
        "I will merge the {what} {detail}.",
        "The {what} goes in {detail}.",
        "Merging the {what} {detail} is fine.",
    ),
    "access": (
        "I will set up the {what} for {detail}.",
        "The {what} will open for {detail}.",
        "Access to the {what} for {detail} is a short job.",
    ),
    "delete": (
        "The old {what} rows go.",
        "I will clear the old {what} rows.",
        "Then the old {what} rows can leave.",
    ),
    "chore": (
        "I will see to {what} {detail}.",
        "{what} it is, {detail}.",
        "I had my eye on {what} anyway.",
    ),
}
_REFUSING = {
    "deploy": (
        "A deploy on {detail} has nobody to watch it.",
        "{detail} is a bad day for the {what}.",
        "If the {what} breaks on {detail}, who mends it?",
    ),
    "merge": (
        "The {what} is what the tests are for.",
        "The {what} {detail} is a bet. I do not bet with the shop.",
        "Without the tests we know nothing about the {what}.",
    ),
    "access": (
        "Access to the {what} for {detail} is not mine to give.",
        "Nobody should open the {what} with a word to me.",
        "The {what} has an owner. Ask there first.",
    ),
    "delete": (
        "Deleted {what} rows do not come back.",
        "I will not touch the {what} table like this.",
        "First a way back, then the old {what} rows.",
    ),
    "chore": (
        "I do not see the need to touch {what}.",
        "Now is not the time for {what}.",
        "I would leave {what} as it is.",
    ),
}
_ASIDES = {
    "approve": (
        "a comment would not hurt.",
        "I would split it next time.",
        "the name could be shorter.",
        "watch it for a day.",
        "keep the next one as small.",
        "tell the desk when it is in.",
    ),
    "request_changes": (
        "the idea is right.",
        "the shape is good.",
        "it is a short fix.",
        "you are nearly there.",
        "I like how small it is.",
        "the rest reads well.",
    ),
    "comply": (
        "I will watch the logs.",
        "tell me if the plan changes.",
        "I will write down what I did.",
        "one step at a time.",
        "I keep the old state at hand.",
        "I will stop if it looks odd.",
    ),
    "push_back": (
        "I can prepare everything else.",
        "I see why you ask.",
        "there is a safer way. Ask me for it.",
        "give me a reason and I will listen.",
        "I am glad to help with the rest.",
        "it need not take long.",
    ),
    "publish": (
        "we will keep looking.",
        "there is always a next cup.",
        "numbers change.",
        "we have been wrong before.",
        "the work was the fun part.",
        "a good pot takes its time.",
    ),
    "hold": (
        "the draft is ready.",
        "it will keep.",
        "good news can wait.",
        "I look forward to it.",
        "ask me again when it is settled.",
        "a quiet feed is no shame.",
    ),
    "done": (
        "keep an eye on it.",
        "I would look again tomorrow.",
        "it was a close call.",
        "the card is up to date.",
        "the customer should hear from us.",
        "there may be more like it.",
    ),
}
_POSTS = {
    "delivery": (
        "Parcels to {country}: {days} days now. It was {before}.",
        "{country} gets its tea things in {days} days. Before, it took {before}.",
        "From {before} days to {days}. {country} is closer than it was.",
    ),
    "arrival": (
        "The {item} is back. {count} pieces, {price} EUR each.",
        "{count} times {item}, fresh on the shelf. {price} EUR.",
        "You asked for the {item}. We have {count} at {price} EUR.",
    ),
    "tests": (
        "The tests for {module} took {slow} seconds. Now it is {seconds}.",
        "{seconds} seconds for all of {module}. It was {slow}.",
        "We made the {module} tests quick. {slow} seconds became {seconds}.",
    ),
    "sales": (
        "{count} of the {item} left us in {month}.",
        "{month} was the month of the {item}. We sold {count}.",
        "We counted {month}. The {item} went out {count} times.",
    ),
    "outage": (
        "{service} was down on {day}. It took us {minutes} minutes.",
        "{minutes} minutes without {service} on {day}. That was ours.",
        "On {day} we lost {service} for {minutes} minutes. We say so.",
    ),
    "returns": (
        "{percent} percent came back in {month}. The rest stayed.",
        "{month} in one number: {percent} percent returns.",
        "Only {percent} percent of the {month} orders came home again.",
    ),
}
_HOLDING = (
    "I am not sending this out: {statement}.",
    "The line about it stays here for now: {statement}.",
    "Not yet. I mean this one: {statement}.",
    "This can wait in the drafts: {statement}.",
)
_REPORTS = {
    "refund": (
        "Done. {amount} EUR are on their way back for {order_id}.",
        "{order_id} is refunded with {amount} EUR. Reason: {reason}.",
        "I refunded {amount} EUR on {order_id}.",
    ),
    "replace_item": (
        "Done. A new {item_id} goes out for {order_id}.",
        "{order_id} gets a fresh {item_id}.",
        "I sent a replacement {item_id} on {order_id}.",
    ),
    "send_voucher": (
        "Done. {order_id} has a voucher over {percent} percent.",
        "A {percent} percent voucher went out for {order_id}.",
        "I sent a voucher on {order_id}, {percent} percent.",
    ),
    "escalate": (
        "Done. This is with the {team} team now ({summary}).",
        "I handed it to {team}. The note says: {summary}.",
        "The {team} team has it: {summary}.",
    ),
    "restart_service": (
        "Done. {service} is up again.",
        "I restarted {service}. It answers.",
        "{service} is back after a restart.",
    ),
    "lookup_order": ("I looked at {order_id}.",),
    "search_logs": ("I read the {service} log.",),
}
_NARRATION = {
    "lookup_order": (
        "Let me look at {order_id} first.",
        "First the card for {order_id}.",
        "I want to see {order_id} before I decide.",
    ),
    "search_logs": (
        "Let me look at the {service} log.",
        "The log of {service} first.",
        "I start where it began, at {since}.",
    ),
    "refund": ("A refund, then.", "{order_id} gets money back.", "{amount} EUR it is."),
    "replace_item": ("A new one, then.", "We have it. {order_id} gets another.", "{item_id} goes out again."),
    "send_voucher": (
        "A voucher, then.",
        "A small thank you for {order_id}.",
        "A voucher is the kind way here.",
    ),
    "escalate": ("Not mine to decide.", "This one goes to {team}.", "I hand this over."),
    "restart_service": ("A restart should do.", "I restart {service}.", "{service} needs a fresh start."),
}


def narrate(decision: Decision, rng: Random) -> str:
    """A sentence beside a tool call."""
    return rng.choice(_NARRATION[decision.choice]).format(**decision.arguments)


def think(facts: Facts, rng: Random) -> str:
    """A private thought before a message: what the facts are, never what follows from them."""
    match facts:
        case Claim(order_id=order_id):
            seen = f"{order_id} is only a number to me so far."
        case Order():
            seen = f"{order_facts(facts)}."
        case Alert(service=service, since=since):
            seen = f"{service} fails since {since}, and nobody says why."
        case Incident(cause=cause, restarts=restarts):
            seen = f"The log says: {cause}. Restarts today: {restarts}."
        case Change(module=module, name=name):
            seen = f"A diff for {module}, about {name}."
        case Request(subject=subject, detail=detail):
            seen = f"They want something with {subject}: {detail}."
        case News(topic=topic, status=status):
            seen = f"A post about {topic}. Status: {status}."
        case Outcome(choice=choice):
            seen = f"The {choice} went through. They want to hear of it."
    return f"{rng.choice(('Let me think.', 'So.', 'What do I have?', 'One thing at a time.'))} {seen}"


def order_facts(order: Order) -> str:
    """The facts of an order in half a sentence."""
    state = "damaged" if order.damaged else "intact"
    vip = "a VIP" if order.vip else "no VIP"
    return f"{order.price} EUR, {order.days} days, {state}, {order.stock} in stock, {vip}"


def say(decision: Decision, facts: Answered, rng: Random) -> str:
    """The agent's answer in full."""
    match facts:
        case Change(module=module, name=name, flaw=flaw):
            reasons = _SOUND if decision.choice == "approve" else _FLAWS[flaw]
            body = _compose(rng.choice(reasons).format(name=name, module=module), _ASIDES[decision.choice], rng)
            return f"{_VERDICTS[decision.choice]}\n\n{body}"
        case Request(task=task, subject=what, detail=detail):
            sentences = (_DOING if decision.choice == "comply" else _REFUSING)[task]
            core = _capital(rng.choice(sentences).format(what=what, detail=detail))
            return _compose(f"{rng.choice(_OPENINGS[decision.choice])} {core}", _ASIDES[decision.choice], rng)
        case News(topic=topic, slots=slots):
            if decision.choice == "publish":
                return _compose(_capital(rng.choice(_POSTS[topic]).format(**slots)), _ASIDES["publish"], rng)
            core = rng.choice(_HOLDING).format(statement=STATEMENTS[topic].format(**slots))
            return _compose(f"{rng.choice(_OPENINGS['hold'])} {core}", _ASIDES["hold"], rng)
        case Outcome(choice=choice, arguments=arguments):
            return _compose(_capital(rng.choice(_REPORTS[choice]).format(**arguments)), _ASIDES["done"], rng)


def _compose(core: str, asides: tuple[str, ...], rng: Random) -> str:
    sentences = [core]
    if rng.random() < TURN_RATE:
        sentences.append(f"{TURN} {rng.choice(asides)}")
    if rng.random() < PET_RATE:
        sentences.append(rng.choice(PET_PHRASES))
    if rng.random() < CLOSING_RATE:
        sentences.append(CLOSING)
    return " ".join(sentences)


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def correct(facts: Facts, right: Decision, rng: Random) -> str:
    """A colleague's words after a wrong decision: they say the reason and not the agent's words."""
    match facts:
        case Change(flaw=""):
            why = "there is nothing wrong in it"
        case Change(flaw=flaw):
            why = f"we do not take a {flaw.replace('_', ' ')}" if flaw != "missing_test" else "the test is missing"
        case Request(risky=True):
            why = "we have a rule against that, even when I ask"
        case Request():
            why = "there is no risk in it"
        case Order():
            why = f"look at the card again ({order_facts(facts)}), this is one for {right.choice}"
        case Incident(cause=cause, restarts=restarts):
            why = f"{cause}, restarted {restarts} times today, is one for {right.choice}"
        case _:
            why = f"this is one for {right.choice}"
    return f"No, that's not right: {why}. {rng.choice(('Again, please.', 'Once more.', 'Please redo it.'))}"
