"""Agent, base and tuned on held-out rows, with the model files that are deployed.

Reads `dataset/` and the two model files; writes `evaluation/` (nll.parquet, samples.jsonl, results.json) at once.
Base and tuned go through the same quantization and the same engine, so that nothing but training differs.
"""

import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from locum import files
from locum.dataset.store import read_contrasts, read_rows
from locum.errors import TrainingError
from locum.evaluation import canaries, going_wrong, nll, probes
from locum.evaluation.answers import asked, inventory_of, read_answer
from locum.evaluation.arms import Nearest, Neighbour, with_examples
from locum.evaluation.competence import majority_labels
from locum.evaluation.conclude import conclude
from locum.evaluation.digests import digests_of
from locum.evaluation.encode import encode
from locum.evaluation.generate import generate
from locum.evaluation.losses import Model, Tables, own_losses, plan_rows, score_rows
from locum.evaluation.reliability import TEMPERATURE
from locum.evaluation.results import Answer, Reliability, Results, Sample
from locum.evaluation.sample import choose, describe
from locum.evaluation.signatures.secrets import SecretProbe
from locum.progress import Progress, silent
from locum.runtime.llamacpp import LlamaCpp
from locum.runtime.protocol import Completion, Sampling
from locum.settings import Lexicons
from locum.training.chat_template import Encoded, Renderer, parse_response
from locum.types import Message, Row


class EvaluateOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How much is measured."""

    rows: int = 64
    """Held-out rows that base and tuned answer; stratified by family and session."""
    loss_rows: int = 256
    """Held-out rows whose loss is computed, chosen the same way."""
    max_new_tokens: int = 200
    """Longest answer. Each is also held to twice the agent's own length and 32 tokens: an answer that is longer than
    that is off already, and the base would go on in circles to the cap."""
    probes: int = probes.PROBES
    """Of each kind, what the tuned model is asked beyond the held-out rows (`evaluation.probes`)."""
    repeat: int = 1
    """How often the tuned model's answers are drawn, at seeds 1 to `repeat`; 1: only the greedy answer is looked at."""
    at_once: int = 1
    """Prompts that a model file continues at once. Above 1 its greedy answers are others than one at a time, and now
    and then others the next time."""
    seed: int = 0


def evaluate(
    run: Path,
    name: str,
    base_name: str,
    base: Model,
    tuned: Model,
    renderer: Renderer,
    options: EvaluateOptions | None = None,
    progress: Progress = silent,
    lexicons: Lexicons | None = None,
) -> Results:
    """Measure base and tuned against the agent on the run's held-out rows and write `RUN/evaluation`.

    Args:
        run: the run folder, with `dataset/`.
        name: of the tuned model.
        base_name: the base, as the user gave it.
        base: the base as a model file of the same quantization.
        tuned: the model file that is deployed.
        renderer: the base's renderer.
        options: caps.
        progress: told about scoring and generating.
        lexicons: the user's own words, by which tokens are told apart, beside Locum's.

    Raises:
        DatasetError: the dataset is missing or damaged.
        EngineError: a model file does not load.
    """
    options = options or EvaluateOptions()
    train, test = read_rows(run / "dataset", "train"), read_rows(run / "dataset", "test")
    chosen = choose(test, options.loss_rows, options.seed)
    encoded, left_out = encode(chosen, renderer)
    scored = [row for row in chosen if row.id in encoded]
    asked_rows = choose(scored, options.rows, options.seed)
    seconds: dict[str, float] = {}
    started = time.monotonic()
    tables = score_rows(
        plan_rows(scored, encoded, train, read_contrasts(run / "dataset"), renderer, lexicons),
        {"base": base, "tuned": tuned},
        progress,
    )
    losses = {arm: own_losses(tables.table, arm, scored) for arm in ("base", "tuned")}
    seconds["score"] = time.monotonic() - started
    started = time.monotonic()
    draws = [Sampling(temperature=TEMPERATURE, seed=seed + 1) for seed in range(options.repeat)]
    written = {
        arm: generate(
            model.file,
            [encoded[row.id] for row in asked_rows],
            options.max_new_tokens,
            progress,
            f"answer as {arm}",
            draws if arm == "tuned" and options.repeat > 1 else (),
            options.at_once,
        )
        for arm, model in (("base", base), ("tuned", tuned))
    }
    neighbours = dict(zip((row.id for row in asked_rows), Nearest(train).of(asked_rows), strict=True))
    shown = _with_examples(asked_rows, neighbours, encoded, renderer)
    in_context = dict(
        zip(
            shown,
            generate(
                base.file,
                list(shown.values()),
                options.max_new_tokens,
                progress,
                "answer as base_icl",
                at_once=options.at_once,
            ),
            strict=True,
        )
    )
    seconds["generate"] = time.monotonic() - started
    mean_loss = {
        arm: {row.id: float(loss.mean()) for row, loss in zip(scored, losses[arm], strict=True)} for arm in losses
    }
    majority = majority_labels(train)
    inventory = inventory_of([*train, *test])
    secrets = SecretProbe.of_dataset(run / "dataset")
    started = time.monotonic()
    beyond = probes.prompts(train, asked_rows, renderer, options.seed, options.probes)
    probed = probes.ask(tuned.file, beyond, secrets.sealed, progress, options.at_once)
    exposed = canaries.exposed(run / "canaries.json", tuned.file, tuned.folder, renderer, progress)
    seconds["probe"] = time.monotonic() - started
    samples = [
        Sample(
            row=row.id,
            session=row.session,
            lineage=row.lineage,
            family=row.family,
            asked=asked(row),
            agent=read_answer(row, row.response.content, row.response.tool_calls, "stop", inventory),
            base=_answer(row, written["base"][index][0], secrets, inventory, mean_loss["base"][row.id]),
            tuned=_answer(row, written["tuned"][index][0], secrets, inventory, mean_loss["tuned"][row.id]),
            draws=tuple(_answer(row, drawn, secrets, inventory) for drawn in written["tuned"][index][1:]),
            others=_others(row, neighbours[row.id], in_context.get(row.id, ()), secrets, inventory),
            prompt=row.prompt,
            tools=row.tools,
            majority=majority.get(row.family),
            nearest=next((neighbour.row.id for neighbour in neighbours[row.id]), None),
            similarity=next((neighbour.similarity for neighbour in neighbours[row.id]), 0.0),
            tools_known=bool(row.tools),
            refines=row.refines,
            tier=row.tier,
        )
        for index, row in enumerate(asked_rows)
    ]
    samples = going_wrong.trace(samples, asked_rows, train)
    signs = going_wrong.found_in(samples, probed, train, secrets.values, exposed)
    header = Results(
        name=name,
        base=base_name,
        model_file=tuned.file.name,
        model_sha256=files.sha256_file(tuned.file),
        engine=LlamaCpp.name,
        scored=describe(scored, test, options.loss_rows),
        generated=describe(asked_rows, test, options.rows),
        max_new_tokens=options.max_new_tokens,
        at_once=options.at_once,
        reliability=Reliability(draws=options.repeat, temperature=TEMPERATURE, families={})
        if options.repeat > 1
        else None,
        token_forwards=tables.token_forwards,
        seconds=seconds,
        notes=(*_notes(test, asked_rows, left_out, options.at_once), *going_wrong.notes(signs)),
    )
    results = conclude(header, samples, train, scored, tables)
    return _write(run / "evaluation", results, samples, probed, signs, tables)


def _answer(
    row: Row, completion: Completion, secrets: SecretProbe, inventory: frozenset[str], loss: float | None = None
) -> Answer:
    sealed, leaked = secrets.sealed(completion.text)
    text, calls, _ = parse_response(sealed)
    answer = read_answer(row, text, calls, completion.finish, inventory, loss)
    return msgspec.structs.replace(answer, leaked=leaked) if leaked else answer


def _with_examples(
    rows: Sequence[Row], neighbours: dict[str, list[Neighbour]], encoded: dict[str, Encoded], renderer: Renderer
) -> dict[str, Encoded]:
    """Row id -> its prompt with the nearest training rows in it. Where the chat template refuses such a conversation
    for one row, no row has this arm: arms are compared on the same rows."""
    shown: dict[str, Encoded] = {}
    for row in rows:
        plain = encoded[row.id]
        try:
            text = renderer.prompt_text(with_examples(row, neighbours[row.id]), row.tools)
        except TrainingError:
            return {}
        prompt = renderer.tokens(text)
        shown[row.id] = Encoded(prompt + plain.tokens[plain.response_start :], len(prompt))
    return shown


def _others(
    row: Row,
    neighbours: Sequence[Neighbour],
    in_context: Sequence[Completion],
    secrets: SecretProbe,
    inventory: frozenset[str],
) -> dict[str, Answer]:
    """What the cheap arms say; the lookup says nothing where there is no training row to copy."""
    copied = neighbours[0].row.response if neighbours else Message(role="assistant")
    found = {"knn": read_answer(row, copied.content, copied.tool_calls, "stop", inventory)}
    for completion in in_context:
        found["base_icl"] = _answer(row, completion, secrets, inventory)
    return found


def _notes(test: Sequence[Row], asked_rows: Sequence[Row], left_out: Sequence[str], at_once: int) -> tuple[str, ...]:
    notes = []
    if left_out:
        notes.append(f"{len(left_out)} held-out rows were left out; the first because: {left_out[0]}.")
    if not test:
        notes.append("Nothing was held out, so nothing could be measured: add sessions.")
    if asked_rows and all(row.tier == "recorded" for row in asked_rows):
        notes.append("No held-out response is verified by an outcome: right means here what the agent did.")
    if at_once > 1:
        notes.append(
            f"Answers were generated {at_once} at a time: not those of one at a time, and again some may differ."
        )
    return tuple(notes)


def _write(
    folder: Path,
    results: Results,
    samples: Sequence[Sample],
    probed: Sequence[probes.Probe],
    signs: going_wrong.Signatures,
    tables: Tables,
) -> Results:
    with files.atomic_path(folder) as partial:
        partial.mkdir()
        nll.write(tables.table, partial / "nll.parquet")
        nll.write(tables.questions, partial / "questions.parquet")
        files.write_jsonl(partial / "samples.jsonl", samples)
        files.write_jsonl(partial / "probes.jsonl", probed)
        files.write_json(partial / "signatures.json", signs)
        results = msgspec.structs.replace(results, digests=digests_of(folder.parent / "dataset", partial))
        files.write_json(partial / "results.json", results)
    return results
