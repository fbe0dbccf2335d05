"""How often the gate lets through a candidate that is exactly as bad as the margin allows, by simulation.

    python benchmarks/gate_error.py [--simulations 1000]

The candidate loses a tenth of the rows to a flawless incumbent, at a margin of a tenth; no baseline is near it. Losses
of a session go together: independent, beta-binomial with an intraclass correlation, or whole sessions at a time. Prints
per sizes and correlation the share of simulations that come to `SHADOW`, and in brackets the share in which the claim
of safety alone holds, whatever the number of sessions; in per cent, nominal 5.
"""

import argparse

import numpy as np

from locum.trust.gate import FamilyEvidence, gate

MARGIN = 0.1
SIZES = ((12, 10), (20, 8), (29, 4), (29, 20), (50, 4))
ALIKE = (0.0, 0.2, 0.5, 1.0)


def candidate(rng: np.random.Generator, sessions: int, rows: int, alike: float) -> FamilyEvidence:
    """Sessions of so many rows, a tenth of all lost on average."""
    if alike in (0.0, 1.0):
        rates = np.full(sessions, MARGIN) if not alike else (rng.random(sessions) < MARGIN).astype(float)
    else:
        rates = rng.beta(MARGIN * (1 / alike - 1), (1 - MARGIN) * (1 / alike - 1), sessions)
    lost = rng.random(sessions * rows) < np.repeat(rates, rows)
    yes, no = (True,) * len(lost), (False,) * len(lost)
    return FamilyEvidence(
        family="tool_decision",
        structure="tool_decision",
        sessions=tuple(f"s{session}" for session in range(sessions) for _ in range(rows)),
        candidate=tuple((~lost).tolist()),
        incumbent=yes,
        baselines={"majority": no},
        verified=yes,
        invalid=no,
        flags={},
        agent_flags={},
        loops=no,
        test_share=0.2,
    )


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--simulations", type=int, default=1000)
    many = parser.parse_args().simulations
    print("| sessions x rows | " + " | ".join(f"alike by {alike:g}" for alike in ALIKE) + " |")
    print("|---|" + "---|" * len(ALIKE))
    for sessions, rows in SIZES:
        cells = []
        for alike in ALIKE:
            rng = np.random.default_rng(5)
            verdicts = [gate(candidate(rng, sessions, rows, alike), MARGIN) for _ in range(many)]
            safe = sum(check.passed is True for verdict in verdicts for check in verdict.checks if check.name == "safe")
            through = sum(verdict.verdict == "SHADOW" for verdict in verdicts)
            cells.append(f"{100 * through / many:.1f} ({100 * safe / many:.1f})")
        print(f"| {sessions} x {rows} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
