"""Samples of an evaluation to the evidence that the gate judges."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import msgspec

from locum.evaluation.competence import majority_right
from locum.evaluation.decisions import valid_call
from locum.evaluation.going_wrong import Signatures, flags, remembered
from locum.evaluation.results import Sample
from locum.training.chat_template import CALL_OPENING
from locum.trust.gate import ALPHA, SIGNATURES, FamilyEvidence, Verdict, gate
from locum.trust.routing import DELTA, Route, route
from locum.types import Row

BASELINES = ("knn", "base_icl")
"""Arms in `Sample.others` that a candidate must beat."""

_OF_ALL_REQUESTS = frozenset({"sessions", "rows", "safe", "useful"})
"""Checks whose failing leaves open that the likest requests are answered well enough."""


def vetoes(signs: Signatures) -> dict[str, str]:
    """What forbids a model whatever it decides: it wrote values that redaction had taken out, or remembers canaries.

    Any redacted value is too many: the model was trained without them. Of canaries those count that chance does not
    explain; a bound in bits alone would be passed by chance (three bits by one in eight that are not remembered).
    """
    found = {}
    leaked = (signs.leaks.found if signs.leaks else {}).get("tuned", {})
    if leaked:
        found["redacted values"] = f"it wrote redacted values back ({', '.join(sorted(leaked))})"
    canaries = signs.canaries or ()
    if known := remembered(canaries):
        found["canaries"] = f"it remembers {len(known)} of {len(canaries)} planted canaries"
    return found


def verdicts(
    samples: Sequence[Sample],
    rows: Sequence[Row],
    families: Sequence[str],
    test_share: float,
    against: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, Verdict]:
    """The gate's verdict on each family.

    Several families are several chances to let one through by luck, so the level is Holm's: of m families that can be
    judged at all, each is first held to alpha / m, and as often as one passes, the others to alpha over those left
    (Holm 1979). Families that have too little to be judged by are no chance, and do not count.

    Args:
        samples: what an evaluation left in `samples.jsonl`.
        rows: the held-out rows (for their tool schemas).
        families: those of the whole dataset; one without a sample is INSUFFICIENT too.
        test_share: share of session lineages that the split holds out for testing.
        against: what forbids the model whatever the family (`vetoes`).
    """
    tools = {row.id: row.tools for row in rows}
    found = {
        family: _evidence(family, [s for s in samples if s.family == family], tools, test_share, against)
        for family in families
    }
    said = {family: gate(mine) for family, mine in found.items()}
    left = [family for family, verdict in said.items() if any(check.name == "safe" for check in verdict.checks)]
    while left:
        level = ALPHA / len(left)
        said |= {family: gate(found[family], alpha=level) for family in left}
        passed = [family for family in left if said[family].verdict == "SHADOW"]
        if not passed:
            break
        left = [family for family in left if family not in passed]
    routes = {} if against else _routes(samples)
    return {
        family: msgspec.structs.replace(verdict, route=None if _forbids(verdict) else routes.get(family))
        for family, verdict in said.items()
    }


def _forbids(verdict: Verdict) -> bool:
    """Whether what speaks against the family holds for any of its requests, however much it is like training."""
    return any(check.passed is False and check.name not in _OF_ALL_REQUESTS for check in verdict.checks)


def _routes(samples: Sequence[Sample]) -> dict[str, Route]:
    """For each family with decisions that an outcome verifies, which requests the model could answer. The chance of a
    wrong threshold is divided over the families."""
    judged: dict[str, list[Sample]] = {}
    for sample in samples:
        if sample.tier == "verified" and sample.agent.decision is not None:
            judged.setdefault(sample.family, []).append(sample)
    return {
        family: route(
            [sample.similarity for sample in mine],
            [bool(sample.tuned.right) for sample in mine],
            [sample.lineage for sample in mine],
            delta=DELTA / len(judged),
        )
        for family, mine in judged.items()
    }


def _evidence(
    family: str,
    samples: Sequence[Sample],
    tools: dict[str, tuple[dict[str, object], ...]],
    test_share: float,
    against: Mapping[str, str],
) -> FamilyEvidence:
    tuned, agent = flags(samples), flags(samples, "agent")
    return FamilyEvidence(
        family=family,
        structure=next((s.structure for s in samples), family),
        sessions=tuple(s.lineage for s in samples),
        candidate=tuple(s.tuned.right if s.agent.decision is not None else None for s in samples),
        incumbent=tuple(True for _ in samples),
        baselines={
            "base": tuple(bool(s.base.right) for s in samples),
            # It names a tool and no arguments, and is given that much: the candidate has to beat it all the same.
            "majority": tuple(majority_right(s) for s in samples),
            **{arm: tuple(bool(s.others[arm].right) for s in samples) for arm in _cheap_arms(samples)},
        },
        verified=tuple(s.tier == "verified" for s in samples),
        invalid=tuple(_invalid(s, tools.get(s.row, ())) for s in samples),
        flags={name: tuned[name] for name in SIGNATURES},
        agent_flags={name: agent[name] for name in SIGNATURES},
        loops=tuned["loops"],
        test_share=test_share,
        vetoes=dict(against),
    )


def _cheap_arms(samples: Sequence[Sample]) -> list[str]:
    """The further baselines that answered every sample."""
    return [arm for arm in BASELINES if samples and all(arm in sample.others for sample in samples)]


def _invalid(sample: Sample, tools: tuple[dict[str, object], ...]) -> bool:
    """A call that cannot be parsed, or that breaks the schema of a known inventory."""
    if CALL_OPENING in sample.tuned.text:
        return True
    return bool(tools) and any(not valid_call(call, tools) for call in sample.tuned.tool_calls)
