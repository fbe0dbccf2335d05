"""MB of logs a second, with and without redaction; peak memory; beside teich's `extract` on the same files in one run.

.venv/bin/python benchmarks/extract.py [--from FOLDER] [--mb 100] [--rounds 3] [--no-peer] [--json]

The logs are Claude Code's: generated ones, or those under FOLDER, written again and again with other ids and slightly
other words until there are enough. Each measurement is a process of its own that has read nothing before; the two
programs take turns. Peak memory is that of the parent plus that of its largest worker times the number of workers.
"""

import argparse
import json
import multiprocessing
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from locum import home
from locum.dataset import cache
from locum.dataset.intake import take_in, take_in_log
from locum.dataset.redaction import Redactor, mark
from locum.dataset.terms import RESTRICTED
from locum.dataset.write import write_dataset
from locum.parallel import Processes
from locum.progress import silent
from locum.sessions.discover import Log, Skipped
from locum.sessions.scripted import write_sessions
from locum.types import Session

A = TypeVar("A")
B = TypeVar("B")
TEICH = "teich==0.3.6"
WORKERS = os.cpu_count() or 1
_UUID = re.compile(rb"([0-9a-f]{8})(-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})")
_ID = re.compile(rb'"(msg|toolu|req)_([A-Za-z0-9]+)"')
_WORD = re.compile(rb"\b(the|to|is|and|in)\b")


class Watched:
    """`Each` by worker processes, with the greatest peak memory of any of them, in kilobytes.

    Workers are no children of this process, so the system does not say it once they have ended.
    """

    def __init__(self, processes: Processes) -> None:
        self._processes = processes
        self.peak = 0

    def __call__(self, function: Callable[[A], B], items: Iterable[A]) -> Generator[B, None, None]:
        """As `Each`."""
        for peak, outcome in self._processes(partial(with_peak, function), items):
            self.peak = max(self.peak, peak)
            yield outcome


def with_peak(function: Callable[[A], B], item: A) -> tuple[int, B]:
    """What the function makes of the item, and in a worker its peak memory so far."""
    outcome = function(item)
    worker = multiprocessing.parent_process() is not None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss if worker else 0, outcome


class Unredacted(Redactor):
    """Lets everything through: what reading and building cost alone."""

    def session(self, session: Session) -> Session:
        return session

    def text(self, text: str) -> str:
        return text


def take_in_unredacted(logs: Sequence[Log]) -> list[bytes | Skipped]:
    """In a worker."""
    return [take_in_log(log, "salt", redactor=Unredacted("salt", mark)) for log in logs]


def write_logs(folder: Path, source: Path | None, megabytes: int) -> float:
    """Write about so many MB of logs; returns how many there are."""
    size, copy = 0, 0
    while size < megabytes * 1_000_000:
        if source is None:
            write_sessions(folder / f"projects/p{copy}", 200, seed=copy)
        else:
            for path in sorted(source.rglob("*.jsonl")):
                target = folder / "projects" / f"p{copy}" / path.relative_to(source)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(_another(path.read_bytes(), copy))
        size = sum(path.stat().st_size for path in folder.rglob("*.jsonl"))
        copy += 1
    return size / 1_000_000


def _another(raw: bytes, copy: int) -> bytes:
    """The same log as if it had been another one."""
    raw = _UUID.sub(lambda m: b"%08x" % (int(m[1], 16) ^ (copy * 2654435761 & 0xFFFFFFFF)) + m[2], raw)
    raw = _ID.sub(lambda m: b'"%s_%s%d"' % (m[1], m[2], copy), raw)
    seen = Counter[int]()

    def word(match: re.Match[bytes]) -> bytes:
        seen[0] += 1
        return match[1] if (seen[0] * 7 + copy) % 3 else b"%s%d" % (match[1], copy)

    return _WORD.sub(word, raw)


def ours(logs: Path, redacted: bool) -> dict[str, float]:
    """Extract in this process and say what it took."""
    started = time.perf_counter()
    processes = Processes(WORKERS, least=0, modules=["locum.dataset.extract"])
    with tempfile.TemporaryDirectory() as scratch, processes:
        os.environ["LOCUM_HOME"] = str(Path(scratch) / "home")
        watched = Watched(processes)

        def unredacted(_: Callable[..., Any], items: Iterable[list[Log]]) -> Iterator[list[bytes | Skipped]]:
            return watched(take_in_unredacted, items)

        each: Any = watched if redacted else unredacted
        with cache.opened(home.salt()) as readings:
            intake = take_in([logs], readings, home.salt(), silent, each)
            stats = write_dataset(
                Path(scratch) / "dataset", intake, readings, home.salt(), allowed_terms=RESTRICTED, each=watched
            )
    seconds = time.perf_counter() - started
    parent = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"seconds": seconds, "peak_mb": (parent + WORKERS * watched.peak) / 1000, "rows": stats.rows}


def in_a_process(logs: Path, how: str) -> dict[str, float]:
    """`ours` in a fresh process."""
    done = subprocess.run(
        [sys.executable, __file__, "--measure", how, str(logs)], check=True, capture_output=True, text=True
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def peer(program: Path, logs: Path) -> tuple[float, int]:
    """Seconds that teich takes for the same logs, its own anonymising included, and its exit status.

    On logs with damaged lines it ends with an error in its last step, the summary of what it has written by then.
    """
    with tempfile.TemporaryDirectory() as scratch:
        command = [str(program), "extract", "claude", "--sessions-dir", str(logs / "projects"), "--out", scratch]
        started = time.perf_counter()
        done = subprocess.run(command, check=False, capture_output=True, stdin=subprocess.DEVNULL)
        return time.perf_counter() - started, done.returncode


def install_peer(folder: Path) -> Path:
    """teich in an environment of its own."""
    venv.create(folder, with_pip=True)
    subprocess.run([str(folder / "bin" / "pip"), "install", "--quiet", TEICH], check=True)
    return folder / "bin" / "teich"


def spread(values: list[float]) -> dict[str, float]:
    """Median, least and greatest."""
    return {
        "median": round(statistics.median(values), 2),
        "least": round(min(values), 2),
        "most": round(max(values), 2),
    }


def main() -> None:
    """Measure in turns and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--from", dest="source", type=Path)
    parser.add_argument("--mb", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-peer", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--measure", nargs=2, metavar=("HOW", "LOGS"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        print(json.dumps(ours(Path(given.measure[1]), given.measure[0] == "redacted")))
        return
    with tempfile.TemporaryDirectory() as scratch:
        logs = Path(scratch) / "logs"
        megabytes = write_logs(logs, given.source, given.mb)
        program = None if given.no_peer else install_peer(Path(scratch) / "teich")
        rates: dict[str, list[float]] = {"plain": [], "redacted": [], "teich": []}
        peaks, rows, status = [], 0.0, 0
        for _ in range(given.rounds):
            rates["plain"].append(megabytes / in_a_process(logs, "plain")["seconds"])
            redacted = in_a_process(logs, "redacted")
            rates["redacted"].append(megabytes / redacted["seconds"])
            peaks.append(redacted["peak_mb"])
            rows = redacted["rows"]
            if program is not None:
                seconds, status = peer(program, logs)
                rates["teich"].append(megabytes / seconds)
    ratios = [ours / theirs for ours, theirs in zip(rates["redacted"], rates["teich"], strict=program is not None)]
    found: dict[str, Any] = {
        "mb": round(megabytes, 1),
        "rows": rows,
        "workers": WORKERS,
        "mb_per_s": spread(rates["plain"]),
        "mb_per_s_redacted": spread(rates["redacted"]),
        "peak_mb": spread(peaks),
        "teich_mb_per_s": spread(rates["teich"]) if ratios else None,
        "teich_exit_status": status,
        "ratio_to_teich": spread(ratios) if ratios else None,
    }
    if given.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name:18} {value}")


if __name__ == "__main__":
    main()
