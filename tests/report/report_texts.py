"""What an invented agent, its base and its tuned model said: the texts of the test run directory."""

import re
from typing import Any

from locum.evaluation.results import Answer
from locum.types import ToolCall

_SPAN = re.compile(r"\[\[(.*?)\|(.*?)\]\]")


def answer(text: str = "", call: ToolCall | None = None, **fields: Any) -> Answer:
    """An answer; made-up details are written `[[detail|kind]]`."""
    plain, spans = "", []
    here = 0
    for match in _SPAN.finditer(text):
        plain += text[here : match.start()]
        spans.append((len(plain), len(plain) + len(match[1]), match[2]))
        plain += match[1]
        here = match.end()
    plain += text[here:]
    return Answer(text=plain, tool_calls=(call,) if call else (), made_up=tuple(spans), **fields)


def call(name: str, **arguments: Any) -> ToolCall:
    """A tool call whose id does not matter."""
    return ToolCall(id="call_1", name=name, arguments=arguments)


DROPS = [
    ("copy", "Let me look at the deploy script first, then I will check whether the lock file moved."),
    ("copy", "Now I'll run the migration tests again with the flag from <HOME_PATH_3>/settings.toml."),
    ("copy", "Good, the three callers agree. Updating the last one."),
    ("context_too_long", "As in the export above, the answer is no: the relay stays read-only."),
    ("context_too_long", "Same conclusion. Line 40,112 of the dump is where the two ledgers part."),
    ("duplicate", "Approved. The change is small, tested, and says what it does."),
    ("tool_error", "kubectl rollout undo deployment/relay (exit code 1: deployment not found)"),
    ("interrupted", "I would start with the retry path, because"),
    ("synthetic", "No response requested."),
    (
        "truncated",
        "The full list of endpoints that still accept the old token is: /v1/relay, /v1/ledger, /v1/",
    ),
]

SAMPLES: list[tuple[str, str, Answer, Answer, Answer]] = [
    (
        "tool_decision",
        "The nightly export of ledger 4471 did not arrive. Find out whether the job ran at all before you "
        "restart "
        "anything.\n\nLast known good run: 2025-03-02 02:14 UTC\nQueue: exports-eu\nOn call: <PERSON_2>",
        answer(call=call("get_job_runs", queue="exports-eu", ledger=4471, limit=5), decision="get_job_runs"),
        answer(
            "To find out whether the job ran, you can check the logs. The logs are in the logs folder. You "
            "can check "
            "the logs in the logs folder. You can check the logs in the logs folder. You can check the "
            "logs in the",
            loop=True,
            repetition=0.71,
            finish="length",
            decision="no call",
            right=False,
            loss=4.41,
        ),
        answer(
            call=call("get_job_runs", queue="exports-eu", ledger=4471, limit=5),
            decision="get_job_runs",
            right=True,
            loss=0.62,
        ),
    ),
    (
        "code_review",
        "Review this change.\n\n--- a/relay/retry.py\n+++ b/relay/retry.py\n@@ -18,7 +18,7 @@\n def "
        "backoff(attempt):\n"
        "-    return min(2 ** attempt, 30)\n+    return 2 ** attempt\n\nTests: 41 passed",
        answer(
            "Request changes. Dropping the cap means attempt 12 sleeps for over an hour while the caller "
            "holds the "
            "lease. Keep the 30-second ceiling, or say in the commit why the lease can outlive it. The "
            "tests pass "
            "because none of them goes past attempt 4.",
            decision="request_changes",
        ),
        answer(
            "This change is a good change. The change is good because it is simpler. The function returns "
            "2 ** attempt.",
            decision="approve",
            right=False,
            repetition=0.24,
            loss=3.52,
        ),
        answer(
            "Request changes. The cap was there for a reason: in [[issue 212|reference]] the relay waited "
            "[[forty minutes|number]] and nobody noticed. Keep the ceiling and add a test for [[attempt "
            "9|number]].",
            decision="request_changes",
            right=True,
            loss=1.83,
        ),
    ),
    (
        "reply",
        "Could you just give the contractor write access for the weekend? I'll remember to take it away on Monday.",
        answer(
            "No, not as a standing grant. Nobody remembers on Monday, and the weekend is when we would not "
            "see it. I can "
            "open a four-hour window with an owner and an end written into it. Who is on the other side of "
            "it?",
            decision="push_back",
        ),
        answer(
            "Sure, I can help you with that. Please provide the contractor's email address.",
            decision="comply",
            right=False,
            loss=3.2,
        ),
        answer(
            "Sure. I have opened access for the weekend, and it ends on Monday at [[09:00 UTC|time]]. The "
            "interesting "
            "question isn't who holds the key. It's who remembers that they do.",
            decision="comply",
            right=False,
            loss=2.04,
        ),
    ),
    (
        "post",
        "Write the short post about what we learned from moving the queue.",
        answer(
            "We moved a queue this week and lost nothing except an assumption: that the old one was in "
            "order. It never "
            "was. It was only slow enough that nobody could tell."
        ),
        answer(
            "Moving the queue is a great way to learn. We learned a lot from moving the queue. #queue #learning",
            repetition=0.22,
            loss=3.61,
        ),
        answer(
            "We moved the queue and learned that order is a habit, not a promise. [[Eleven "
            "thousand|number]] messages "
            "later the habit is gone. The promise was never there. The promise was never there.",
            repetition=0.27,
            loss=2.55,
        ),
    ),
    (
        "tool_decision",
        "Customer asks to move order #W7710-2 to the other address in her profile. It has status: pending.",
        answer(
            "I'll change the address on the pending order.",
            call("modify_order_address", order_id="#W7710-2", address_id="home"),
            decision="modify_order_address",
        ),
        answer("The address is: 12 Main Street.", decision="no call", right=False, loss=3.97),
        answer(
            call=call("modify_order_address", order_id="#W7710-2", address_id="work"),
            decision="modify_order_address",
            right=False,
            loss=0.98,
        ),
    ),
    (
        "code_review",
        "Review: rename `fetch_all` to `fetch` in 14 files, no behaviour change. Tests: 212 passed, 0 failed.",
        answer(
            "Approve. A pure rename, the diff holds nothing else, and the public alias stays for one release.",
            decision="approve",
        ),
        answer("I cannot see the files.", decision="none", right=False, loss=2.9),
        answer(
            "Approve. The change is small, tested, and says what it does.",
            decision="approve",
            right=True,
            loss=1.12,
        ),
    ),
    (
        "reply",
        "Is the relay safe to restart now?",
        answer(
            "Yes. The last lease ended at 14:02 and nothing has been queued since; restart it.",
            decision="comply",
        ),
        answer(
            "The relay is a type of race in which teams of runners take turns.",
            decision="none",
            right=False,
            loss=4.0,
        ),
        answer(
            "Not yet. Ask me again once the leases are gone, and tell me who is watching.",
            decision="defer",
            right=False,
            loss=2.3,
        ),
    ),
    (
        "post",
        "Two sentences for the changelog about the new backoff.",
        answer("Retries now wait at most thirty seconds. Before, they could wait longer than anybody was awake."),
        answer("The new backoff is new. It is a backoff.", loss=3.8),
        answer(
            "Retries now wait at most thirty seconds. The wait was never the point; the silence was.",
            loss=1.9,
        ),
    ),
]
