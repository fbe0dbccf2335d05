"""How much of what is planted redaction removes, and how much of what only looks like it survives.

Every variety of secret in `planted` is put in every place of a session, and the same number of look-alikes of
its type beside it. Each is its own session, so that nothing is found because it was found elsewhere.

.venv/bin/python benchmarks/redaction.py [--json] [--rounds 3] [--missed] [--speed PATH ...]
"""

import argparse
import itertools
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from planted import LEFT, Sample, look_alikes, planted
from scipy.stats import beta

from locum.dataset.detectors import find
from locum.dataset.redaction import Redactor
from locum.progress import silent
from locum.sessions.read import read_sources
from locum.types import Message, Session, ToolCall

Place = Callable[[str], Session]


def _session(*messages: Message, source: str = "a.jsonl") -> Session:
    return Session(id="s", lineage="s", format="claude_code", source=source, messages=messages)


def _calls(arguments: dict[str, Any]) -> Session:
    return _session(Message("assistant", "", (ToolCall("c", "Write", arguments),), origin="agent"))


def _log_path(text: str) -> Session:
    return _session(Message("user", "Hi.", origin="human"), source=f"/srv/logs {text} /a.jsonl")


PLACES: dict[str, Place] = {
    "prose": lambda text: _session(Message("user", f"I tried this:\n\n{text}\n\nand it failed.", origin="human")),
    "system": lambda text: _session(Message("system", f"You help.\n{text}\nBe brief.", origin="system")),
    "argument": lambda text: _calls({"file": "x", "edits": [{"new": f"a\n{text}\nb"}]}),
    "json_in_argument": lambda text: _calls({"body": json.dumps({"note": f"a\n{text}\nb", "n": 1})}),
    "json_twice": lambda text: _calls({"body": json.dumps({"raw": json.dumps({"note": f"a\n{text}\nb"})})}),
    "result": lambda text: _session(Message("tool", f"1\t#!/bin/sh\n2\t{text}\n", tool_call_id="c", origin="tool")),
    "json_in_result": lambda text: _session(
        Message("tool", json.dumps([{"line": text}, {"line": "ok"}], indent=1), tool_call_id="c", origin="tool")
    ),
    "diff": lambda text: _session(
        Message("tool", f"@@ -1,2 +1,2 @@\n x = 1\n+{text}\n-old", tool_call_id="c", origin="tool")
    ),
    "terminal": lambda text: _session(
        Message("tool", f"\x1b[32mok\x1b[0m\n\x1b[1m{text}\x1b[0m\n", tool_call_id="c", origin="tool")
    ),
    "log_path": _log_path,
}


def texts_of(session: Session) -> Iterator[str]:
    """Every text of a session, those in JSON strings also without their escapes."""

    def inside(value: Any) -> Iterator[str]:
        if isinstance(value, str):
            yield value
            try:
                decoded = json.loads(value)
            except ValueError:
                return
            if isinstance(decoded, dict | list):
                yield from inside(decoded)
        elif isinstance(value, dict | list):
            for item in value.values() if isinstance(value, dict) else value:
                yield from inside(item)

    yield session.source
    for message in session.messages:
        yield from inside(message.content)
        for call in message.tool_calls:
            yield from inside(call.arguments)


def gone(sample: Sample, place: Place) -> bool:
    """Whether nothing of the planted secret is left in that place."""
    redacted = Redactor("salt").session(place(sample.text))
    return not any(part in text for text in texts_of(redacted) for part in (sample.secret, *sample.parts))


def survived(sample: Sample, place: Place) -> bool:
    """Whether the look-alike's session is what it was."""
    session = place(sample.text)
    return Redactor("salt").session(session) == session


def interval(hits: int, trials: int) -> tuple[float, float]:
    """Two-sided 95 % interval of a rate, after Clopper and Pearson (Biometrika 26, 1934)."""
    low = 0.0 if hits == 0 else float(beta.ppf(0.025, hits, trials - hits + 1))
    high = 1.0 if hits == trials else float(beta.ppf(0.975, hits + 1, trials - hits))
    return low, high


Failed = Counter[tuple[str, str]]
"""(what happened to which type where, template) -> times."""


def measure(rounds: int) -> tuple[dict[str, dict[str, Any]], Failed]:
    """The table by type, with its total, and what failed."""
    counts: dict[str, Counter[str]] = {}
    failed: Failed = Counter()
    for seed in range(rounds):
        alike = {
            kind: itertools.cycle(list(group))
            for kind, group in itertools.groupby(look_alikes(seed), key=lambda sample: sample.kind)
        }
        for secret in planted(seed):
            count = counts.setdefault(secret.kind, Counter())
            for name, place in PLACES.items():
                if name == "log_path" and "\n" in secret.text.strip():
                    continue
                harmless = next(alike[secret.kind])
                while name == "log_path" and "\n" in harmless.text:
                    harmless = next(alike[secret.kind])
                is_gone, is_kept = gone(secret, place), survived(harmless, place)
                count.update(planted=1, gone=is_gone, look_alikes=1, survived=is_kept)
                failed.update(() if is_gone else [(f"left {secret.kind} in {name}", secret.template)])
                failed.update(() if is_kept else [(f"taken {secret.kind} in {name}", harmless.template)])
    total: Counter[str] = Counter()
    for count in counts.values():
        total.update(count)
    return {kind: _rates(count) for kind, count in {**counts, "all": total}.items()}, failed


def _rates(count: Counter[str]) -> dict[str, Any]:
    rates: dict[str, Any] = dict(count)
    for rate, hits, trials in (("recall", "gone", "planted"), ("survival", "survived", "look_alikes")):
        rates[rate] = count[hits] / count[trials]
        rates[f"{rate}_low"], rates[f"{rate}_high"] = interval(count[hits], count[trials])
    return rates


def speed(paths: list[str]) -> dict[str, float]:
    """MB of text a second that `find` takes on the texts of these logs, best of five, on one core."""
    reading = read_sources(paths, silent)
    texts = [text for session in reading.sessions for text in _plain_texts(session)]
    size = sum(len(text.encode("utf-8", "replace")) for text in texts) / 1e6
    best = float("inf")
    for _ in range(5):
        start = time.process_time()
        for text in texts:
            find(text)
        best = min(best, time.process_time() - start)
    log_size = sum(Path(file).stat().st_size for file in reading.files) / 1e6
    return {"text_mb": size, "text_mb_per_s": size / best, "log_mb": log_size, "log_mb_per_s": log_size / best}


def _plain_texts(session: Session) -> Iterator[str]:
    def inside(value: Any) -> Iterator[str]:
        if isinstance(value, str):
            yield value.encode("utf-8", "replace").decode()
        elif isinstance(value, dict | list):
            for item in value.values() if isinstance(value, dict) else value:
                yield from inside(item)

    for message in session.messages:
        yield from inside([message.content, [call.arguments for call in message.tool_calls]])


def main() -> None:
    """Print the table, and what was left or taken where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=3, help="fresh values of every variety")
    parser.add_argument("--missed", action="store_true", help="list what was left and what was taken")
    parser.add_argument("--speed", nargs="+", metavar="PATH", help="also measure speed over these logs")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    table, failed = measure(options.rounds)
    timing = speed(options.speed) if options.speed else None
    if options.json:
        print(
            json.dumps(
                {"types": table, "failed": [[*what, times] for what, times in failed.most_common()], "speed": timing}
            )
        )
        return
    print("| type | planted | gone | recall | look-alikes | survived | survival |\n|---|---|---|---|---|---|---|")
    for kind, row in table.items():
        recall, survival = (
            f"{100 * row[rate]:.1f} % ({100 * row[rate + '_low']:.1f}-{100 * row[rate + '_high']:.1f})"
            for rate in ("recall", "survival")
        )
        print(
            f"| {kind} | {row['planted']} | {row['gone']} | {recall} | {row['look_alikes']} | {row['survived']} "
            f"| {survival} |"
        )
    for name, value in (timing or {}).items():
        print(f"{name}: {value:.1f}")
    if options.missed:
        for (what, template), times in failed.most_common():
            known = " (known)" if template in LEFT else ""
            print(f"{times} {what}: {template!r}{known}")


if __name__ == "__main__":
    main()
