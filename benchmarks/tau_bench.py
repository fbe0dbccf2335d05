"""Tuned against the other arms on held-out customers of tau-bench retail, whose sessions hold a ground-truth reward.

    python benchmarks/tau_bench.py SOURCE... --out RUN [--base BASE] [--epochs N] [--max-steps N] [--layers all|top:K]
        [--context keep|absorb] [--context-chars N] [--eval-rows N] [--loss-rows N] [--allow-terms PROVIDER]...

SOURCE are tau-bench's result files. Runs `locum run` (an unfinished run goes on; a finished one is only read) and
prints a Markdown table of every measure of being right, arms in columns, over all held-out rows and over the verified
ones.
"""

import argparse
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from locum import files
from locum.evaluation.results import Measures, Results
from locum.types import Estimate

ARMS = ("tuned", "base", "base_icl", "knn", "majority")


def table(results: Results) -> Iterator[str]:
    """The lines of the table."""
    yield "| family | measure | rows | sessions | " + " | ".join(ARMS) + " | tuned - best of the others |"
    yield "|---|---|---|---|" + "---|" * (len(ARMS) + 1)
    for which, measures in (("all", results.competence), ("verified", results.verified)):
        yield from _lines(which, measures)


def _lines(which: str, measures: Measures) -> Iterator[str]:
    for family, named in measures.items():
        for measure, arms in named.items():
            if "tuned" not in arms:
                continue
            others = [arm for arm in ARMS[1:] if arm in arms]
            best = max(others, key=lambda arm: arms[arm].estimate)
            cells = [_cell(arms[arm]) if arm in arms else "" for arm in ARMS]
            difference = f"{_cell(arms[f'tuned-{best}'])} ({best})" if f"tuned-{best}" in arms else ""
            tuned = arms["tuned"]
            numbers = f"{tuned.rows} | {tuned.sessions}"
            yield f"| {family} ({which}) | {measure} | {numbers} | {' | '.join(cells)} | {difference} |"


def _cell(estimate: Estimate) -> str:
    return f"{estimate.estimate:.2f} [{estimate.low:.2f}, {estimate.high:.2f}]"


def main() -> None:
    """Run, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sources", nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--base", default="smollm2:135m")
    parser.add_argument("--epochs", default="3")
    parser.add_argument("--context-chars", default="6000")
    parser.add_argument("--eval-rows", default="200")
    parser.add_argument("--loss-rows", default="256")
    parser.add_argument("--max-steps")
    parser.add_argument("--layers", default="all")
    parser.add_argument("--context", default="keep")
    parser.add_argument("--allow-terms", action="append", default=[], metavar="PROVIDER")
    given = parser.parse_args()
    if not (given.out / "manifest.json").is_file():
        settings = [f"--{name.replace('_', '-')}={getattr(given, name)}" for name in _PASSED if getattr(given, name)]
        settings += [f"--allow-terms={provider}" for provider in given.allow_terms]
        command = [sys.executable, "-m", "locum.cli.main", "run", *given.sources, "--name", "tau-retail"]
        subprocess.run([*command, "--out", str(given.out), "--deploy", "none", *settings], check=True)
    for line in table(files.read_json(given.out / "evaluation" / "results.json", Results)):
        print(line)


_PASSED = ("base", "epochs", "max_steps", "layers", "context", "context_chars", "eval_rows", "loss_rows")

if __name__ == "__main__":
    main()
