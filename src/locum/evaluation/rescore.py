"""An evaluation scored again, from what it left on disk: no model is loaded.

What the models wrote (`samples.jsonl`, `probes.jsonl`) and lost (`nll.parquet`, `questions.parquet`) stays; every
figure and every judgement of an answer is computed anew by the code of today. `results.json` says by which code.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path

import msgspec
import polars as pl

from locum import files
from locum.dataset.store import read_rows
from locum.errors import RunError
from locum.evaluation import going_wrong
from locum.evaluation.answers import inventory_of, read_answer
from locum.evaluation.conclude import conclude
from locum.evaluation.digests import changed, digests_of
from locum.evaluation.losses import Tables
from locum.evaluation.probes import Probe
from locum.evaluation.results import Answer, Replay, Results, Sample
from locum.types import Row


def rescore(run: Path, replay: Replay | None = None, replayed: Mapping[str, Sample] | None = None) -> Results:
    """Compute `results.json` and `signatures.json` of a run again, and the judgements in `samples.jsonl`.

    Args:
        run: the run folder, evaluated.
        replay: how the agent was asked again, where it was just now.
        replayed: row -> its sample with what the agent answered.

    Raises:
        RunError: nothing is evaluated there, or what it was computed from has changed since.
        DatasetError: the dataset is missing or damaged.
    """
    folder = run / "evaluation"
    before, samples = evaluated(run)
    if replay is not None:
        before = msgspec.structs.replace(before, replay=replay)
        samples = [(replayed or {})[sample.row] for sample in samples]
    train, test = read_rows(run / "dataset", "train"), read_rows(run / "dataset", "test")
    rows = {row.id: row for row in test}
    inventory = inventory_of([*train, *test])
    samples = [_read_again(sample, rows[sample.row], inventory) for sample in samples]
    samples = going_wrong.trace(samples, [rows[sample.row] for sample in samples], train)
    table, questions = (pl.read_parquet(folder / name) for name in ("nll.parquet", "questions.parquet"))
    held = set(table["row"].unique())
    scored = [row for row in test if row.id in held]
    results = conclude(before, samples, train, scored, Tables(table, questions, before.token_forwards))
    signs = files.read_json(folder / "signatures.json", going_wrong.Signatures)
    again = going_wrong.found_in(
        samples,
        files.read_jsonl(folder / "probes.jsonl", Probe),
        train,
        None if signs.leaks is None else signs.leaks.values,
        signs.canaries,
    )
    # The folder is exchanged as a whole: figures of other answers than lie beside them would be nobody's.
    with files.atomic_path(folder) as partial:
        shutil.copytree(folder, partial, symlinks=True)
        files.write_jsonl(partial / "samples.jsonl", samples)
        files.write_json(partial / "signatures.json", again)
        results = msgspec.structs.replace(results, digests=digests_of(run / "dataset", partial))
        files.write_json(partial / "results.json", results)
    return results


def evaluated(run: Path) -> tuple[Results, list[Sample]]:
    """What an evaluation left, once it is known to be of the rows, answers and losses that are there.

    Raises:
        RunError: as `rescore`.
    """
    files.sweep_partials(run)  # one that was interrupted between two renames is put back
    folder = run / "evaluation"
    if not (folder / "results.json").is_file():
        raise RunError(f"{str(run)!r} holds no evaluation: run `locum evaluate {run}` first")
    results = files.read_json(folder / "results.json", Results)
    for name in changed(run, results.digests):
        raise RunError(f"{name} of {str(run)!r} is not what was evaluated; run `locum evaluate {run}` again")
    return results, files.read_jsonl(folder / "samples.jsonl", Sample)


def _read_again(sample: Sample, row: Row, inventory: frozenset[str]) -> Sample:
    def again(answer: Answer) -> Answer:
        read = read_answer(row, answer.text, answer.tool_calls, answer.finish, inventory, answer.loss)
        # What leaked stands in the text as a placeholder now, and is known by this record alone.
        return msgspec.structs.replace(read, leaked=answer.leaked)

    return msgspec.structs.replace(
        sample,
        agent=again(sample.agent),
        base=again(sample.base),
        tuned=again(sample.tuned),
        others={arm: again(answer) for arm, answer in sample.others.items()},
        draws=tuple(map(again, sample.draws)),
        replay=None if sample.replay is None else again(sample.replay),
    )
