"""From what the models wrote and lost to every figure of `results.json`. Runs no model: `evaluate` and `rescore` both
end here, so that scoring again gives the same figures.
"""

from collections.abc import Sequence
from typing import get_args

import msgspec

from locum.evaluation import going_wrong, summarise
from locum.evaluation.agent.agreement import agreement
from locum.evaluation.choice import choices
from locum.evaluation.competence import competence, lookups, stratum, tiers
from locum.evaluation.contrast_checks import contrast_sets
from locum.evaluation.gains import gains
from locum.evaluation.losses import Tables, own_losses
from locum.evaluation.reliability import reliability
from locum.evaluation.resemblance.measure import resemblance
from locum.evaluation.resemblance.vocabulary import own_words
from locum.evaluation.results import Results, Sample, Stratum
from locum.types import Row


def conclude(
    header: Results, samples: Sequence[Sample], train: Sequence[Row], scored: Sequence[Row], tables: Tables
) -> Results:
    """The header with every figure computed.

    Args:
        header: what was measured with what; its figures are replaced.
        samples: traced (`going_wrong.trace`).
        train: the training rows.
        scored: the rows whose losses the table holds.
        tables: of losses, and of questions.
    """
    base, tuned = (own_losses(tables.table, arm, scored) for arm in ("base", "tuned"))
    right, alike = competence(samples), resemblance(samples, own_words(train))
    return msgspec.structs.replace(
        header,
        loss=summarise.loss_arms(scored, base, tuned),
        loss_by_family=summarise.by_family(scored, base, tuned),
        resemblance=alike.measures | ({"length": summarise.lengths(samples)} if samples else {}),
        recovery=alike.recovery,
        two_sample=alike.two_sample,
        rhythm=alike.rhythm,
        competence=right.measures,
        signatures=going_wrong.figures(samples),
        verified=competence([sample for sample in samples if sample.tier == "verified"]).measures,
        strata={
            name: competence([sample for sample in samples if stratum(sample) == name]).measures
            for name in get_args(Stratum)
        },
        tiers=tiers(samples),
        lookups=lookups(right.measures),
        undefined=alike.undefined | {f"competence/{path}": why for path, why in right.undefined.items()},
        gains=gains(tables.table),
        choice=choices(tables.table),
        contrasts=contrast_sets(tables.questions),
        replay=header.replay and msgspec.structs.replace(header.replay, agreement=agreement(samples)),
        reliability=header.reliability and msgspec.structs.replace(header.reliability, families=reliability(samples)),
        notes=tuple(dict.fromkeys((*header.notes, *alike.notes))),
    )
