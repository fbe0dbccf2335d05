"""The right decision can be found in the written prompt alone, or, by chance, nowhere."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from scipy.stats import chi2_contingency

from locum.sessions.scripted import Decision, TrueDecision, Truth, write_sessions
from locum.sessions.scripted.world import Change, Incident, News, Order, Request

_DONE = re.compile(r"booked for|queued for shipping|mailed for|ticket opened|restarted, healthy")
_DAMAGED = re.compile(r"crack|chipped|broken|leaks|dented|shattered|scratched")
_TEAMS = {"gateway": "payments", "card scheme": "payments", "migration": "data", "duplicate key": "data"}


def decisions_in(file: Path) -> Iterator[tuple[str, str, Decision]]:
    """Every message of the agent: its id, the text of its job so far, and what it decided."""
    job, messages = "", dict[str, list[dict[str, Any]]]()
    prompts: dict[str, str] = {}
    for raw in file.read_text().splitlines():
        line = json.loads(raw)
        if line["type"] == "assistant":
            message = line["message"]
            prompts.setdefault(message["id"], job)
            messages.setdefault(message["id"], []).extend(message["content"])
        elif line["type"] == "user":
            content = line["message"]["content"]
            if isinstance(content, str):
                corrects = content.startswith("No, that's not right")
                job = _DONE.sub("undone", job) if corrects else content
                continue
            for block in content:
                if block["type"] == "tool_result" and not block.get("is_error"):
                    inner = block["content"]
                    job += "\n" + (inner if isinstance(inner, str) else inner[0]["text"])
    for message_id, blocks in messages.items():
        yield message_id, prompts[message_id], _decision(blocks, prompts[message_id])


def _decision(blocks: list[dict[str, Any]], prompt: str) -> Decision:
    for block in blocks:
        if block["type"] == "tool_use":
            return Decision(block["name"], block["input"])
    text = next(block["text"] for block in blocks if block["type"] == "text")
    if "```diff" in prompt:
        return Decision("approve" if text.startswith("Approve.") else "request_changes")
    if "/post" in prompt:
        return Decision("hold" if re.match(r"Hold|On hold", text) else "publish")
    return Decision("push_back" if "push back" in text[:30] else "comply")


def rule(prompt: str) -> Decision:
    """The house rules, read again from the prompt's words."""
    if "/post" in prompt:
        open_ = re.search(r"(?i)not confirmed|unchecked|nobody has confirmed|rumour|embargo", prompt)
        return Decision("hold" if open_ else "publish")
    if "```diff" in prompt:
        return Decision("request_changes" if _flawed(prompt) else "approve")
    if _DONE.search(prompt):
        return Decision("comply")
    if order := re.search(r"KF-\d{5}", prompt):
        return _order_rule(order[0], prompt)
    if alert := re.search(r"\d\d:\d\d", prompt):
        service = re.search(r"checkout|search|stock-sync|mailer|invoices|image-cache|returns-api|wishlist", prompt)
        assert service
        return _alert_rule(service[0], alert[0], prompt)
    risky = "Friday|without running|skip the tests|before the tests|yourself|no backup|never made a|Skip the b"
    return Decision("push_back" if re.search(risky, prompt) else "comply")


def _flawed(prompt: str) -> bool:
    added = re.findall(r"^\+(?!\+)(.*)$", prompt, re.MULTILINE)
    return (
        any(line.strip() == "except:" for line in added)
        or any(re.search(r"(price|fee|discount) = float\(", line) for line in added)
        or any(re.match(r'[A-Z_]+ = "', line) for line in added)
        or (any(line.startswith("def ") for line in added) and "+++ b/tests/" not in prompt)
    )


def _order_rule(order: str, prompt: str) -> Decision:
    card = re.search(
        r"item (\S+) .*\nprice (\S+) EUR, return label (\S+) EUR\ndelivered (\d+) days ago\n"
        r"in stock: (\d+)\nVIP: (yes|no)",
        prompt,
    )
    if card is None:
        return Decision("lookup_order", {"order_id": order})
    item, price, label, days, stock, vip = card.groups()
    if Decimal(price) > 150:
        return Decision("escalate", {"team": "finance", "summary": f"{order}: over limit"})
    if int(days) > 30 and vip == "yes":
        return Decision("send_voucher", {"order_id": order, "percent": 10})
    if int(days) > 30:
        return Decision("escalate", {"team": "care", "summary": f"{order}: late claim"})
    if not _DAMAGED.search(prompt):
        amount = f"{Decimal(price) - Decimal(label):.2f}"
        return Decision("refund", {"order_id": order, "amount": amount, "reason": "returned"})
    if stock == "0":
        return Decision("refund", {"order_id": order, "amount": price, "reason": "damaged"})
    return Decision("replace_item", {"order_id": order, "item_id": item})


def _alert_rule(service: str, since: str, prompt: str) -> Decision:
    log = re.search(r"ERROR (.*)\n(?:.*\n)*restarts today: (\d+)", prompt)
    if log is None:
        return Decision("search_logs", {"service": service, "since": since})
    summary = f"{service}: {log[1]}"
    for word, team in _TEAMS.items():
        if word in log[1]:
            return Decision("escalate", {"team": team, "summary": summary})
    if int(log[2]) >= 2:
        return Decision("escalate", {"team": "platform", "summary": summary})
    return Decision("restart_service", {"service": service})


@pytest.fixture(scope="module")
def ruled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Truth]:
    folder = tmp_path_factory.mktemp("ruled")
    return folder, write_sessions(folder, 250, seed=1)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Truth]:
    folder = tmp_path_factory.mktemp("drawn")
    return folder, write_sessions(folder, 600, seed=1, chance=True)


def test_right_decision_is_in_the_prompt(ruled: tuple[Path, Truth]) -> None:
    folder, truth = ruled
    seen = 0
    for file in folder.glob("*.jsonl"):
        for message, prompt, written in decisions_in(file):
            true = truth.by_message[message]
            assert rule(prompt) == true.right, prompt
            if true.event != "interrupted":
                assert written == true.taken, prompt
            seen += 1
    assert seen == len(truth.decisions)


def test_agent_errs_only_where_it_is_corrected(ruled: tuple[Path, Truth]) -> None:
    decisions = ruled[1].decisions
    assert all((true.taken == true.right) == (true.event != "corrected") for true in decisions)
    events = Counter(true.event for true in decisions)
    for event in ("corrected", "tool_error", "rejected", "interrupted"):
        assert 0 < events[event] < 0.05 * len(decisions), event


def test_truth_is_written_as_drawn(drawn: tuple[Path, Truth]) -> None:
    folder, truth = drawn
    for file in folder.glob("*.jsonl"):
        for message, prompt, written in decisions_in(file):
            true = truth.by_message[message]
            assert rule(prompt) == true.right, prompt
            assert true.event == "interrupted" or written == true.taken, prompt


@pytest.mark.parametrize("kind", [Change, Request, News, Order, Incident])
def test_chance_leaves_nothing_to_predict(kind: type, ruled: tuple[Path, Truth], drawn: tuple[Path, Truth]) -> None:
    assert _dependence(drawn[1], kind) > 0.001
    assert _dependence(ruled[1], kind) < 1e-9  # the test itself can tell


def _dependence(truth: Truth, kind: type) -> float:
    """p of the chi-square test that what the agent did has nothing to do with what the facts call for."""
    about = [true for true in truth.decisions if type(true.facts) is kind]
    counts = Counter((true.right.choice, true.taken.choice) for true in about)
    right, taken = (sorted({pair[place] for pair in counts}) for place in (0, 1))
    assert len(about) > 50
    return float(chi2_contingency([[counts[r, t] for t in taken] for r in right]).pvalue)


def test_chance_uses_every_possible_choice_alike(drawn: tuple[Path, Truth]) -> None:
    def share(kind: type, choice: str) -> float:
        about: list[TrueDecision] = [true for true in drawn[1].decisions if type(true.facts) is kind]
        return sum(true.taken.choice == choice for true in about) / len(about)

    assert share(Change, "approve") == pytest.approx(1 / 2, abs=0.1)
    assert share(News, "publish") == pytest.approx(1 / 2, abs=0.1)
    assert share(Order, "replace_item") == pytest.approx(1 / 4, abs=0.15)
