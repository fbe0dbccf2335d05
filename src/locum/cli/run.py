"""`locum run SOURCE... --name NAME`: session logs in; a named model, an evaluation and a verdict out."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from locum.cli import options as o
from locum.cli.output import Debug, Json, Output, Quiet
from locum.locks import writing


def run(
    sources: o.Sources,
    name: o.Name,
    base: o.BaseName = o.DEFAULT_BASE,
    out: Annotated[Path | None, typer.Option("--out", help="Run folder (default: runs/NAME).")] = None,
    max_steps: o.MaxSteps = None,
    epochs: o.Epochs = o.DEFAULT_EPOCHS,
    learning_rate: o.LearningRate = o.DEFAULT_LEARNING_RATE,
    patience: o.Patience = o.DEFAULT_PATIENCE,
    layers: o.Layers = o.DEFAULT_LAYERS,
    quant: o.Quant = o.DEFAULT_QUANT,
    deploy: o.DeployTo = "auto",
    context_chars: o.ContextChars = o.DEFAULT_CONTEXT,
    context: o.Context = "keep",
    settings: o.Settings = None,
    allow_terms: o.AllowTerms = None,
    eval_rows: o.EvalRows = o.DEFAULT_EVAL_ROWS,
    loss_rows: o.LossRows = o.DEFAULT_LOSS_ROWS,
    at_once: o.AtOnce = 1,
    seed: o.Seed = 0,
    skip_bad: o.SkipBad = False,
    canaries: o.Canaries = False,
    force: o.Force = False,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Everything: sessions to a fine-tuned, named, evaluated model and an honest verdict."""
    o.check_choices(quant, deploy)
    o.check_context(context)
    o.top_layers(layers)
    with Output(json=json, quiet=quiet, debug=debug) as voice:
        from locum.cli.run_folder import Request

        request = Request(
            sources=tuple(map(o.settled_source, sources)),
            name=name,
            base=o.settled(base),
            quant=quant,
            deploy=deploy,
            max_steps=max_steps,
            epochs=epochs,
            learning_rate=learning_rate,
            patience=patience,
            layers=layers,
            context_chars=context_chars,
            context=context,
            settings=settings and str(Path(settings).absolute()),
            eval_rows=eval_rows,
            loss_rows=loss_rows,
            at_once=at_once,
            seed=seed,
            skip_bad=skip_bad,
            canaries=canaries,
            force=force,
        )
        voice.result(carry_out(request, out or Path("runs") / name, voice, allow_terms or ()))


def carry_out(request: Any, folder: Path, voice: Output, allow_terms: Sequence[str] = ()) -> dict[str, Any]:
    """Take one request through all stages; returns what `--json` prints.

    Raises:
        RunError: another process writes into the folder.
    """
    from locum.runtime.store import check_name

    check_name(request.name)
    with writing(folder, folder / "dataset"):
        return _carry_out(request, folder, voice, allow_terms)


def _carry_out(request: Any, folder: Path, voice: Output, allow_terms: Sequence[str]) -> dict[str, Any]:
    from locum.cli import deployed, show, show_evaluation, stages
    from locum.cli.run_folder import Run
    from locum.sessions.discover import discover
    from locum.training.base import resolve_base

    progress = voice.progress
    # What can be refused is refused before anything is written or removed.
    run = Run(folder, request, voice.say)
    request = run.request
    if not run.has_done("deploy"):
        engine = deployed.choose_engine(request.deploy)
        deployed.require_free(request.name, engine, request.force, folder)
    if not run.has_done("dataset"):
        for source in request.sources:  # a base is fetched for minutes; an address is looked at when it is read
            if "://" not in source:
                discover(source)
    resolve_base(request.base, progress)

    extracted = run.stage(
        "dataset",
        lambda: stages.extract(
            request.sources,
            folder / "dataset",
            progress,
            context_chars=request.context_chars,
            context=request.context,
            settings=request.settings,
            allow_terms=allow_terms,
            before_writing=run.begin,
        ),
    )
    show.funnel(voice, extracted)
    trained = run.stage(
        "train",
        lambda: stages.train(folder / "dataset", request.base, folder, _training(request), progress, request.canaries),
    )
    show.training(voice, trained)
    exported = run.stage("export", lambda: stages.export(folder, request.name, request.base, request.quant, progress))
    show.export(voice, exported)
    placed = run.stage(
        "deploy", lambda: deployed.deploy(folder, request.name, request.base, request.deploy, request.force, progress)
    )
    results = run.stage(
        "evaluate",
        lambda: stages.evaluate(folder, request.name, request.base, _evaluation(request), progress, request.settings),
    )
    show_evaluation.evaluation(voice, results)
    # The evaluation may have been scored again since it was judged, and judging takes no time.
    verdicts = run.stage("gate", lambda: stages.gate(folder), anew=True)
    show.verdicts(voice, verdicts)
    manifest = {
        "name": request.name,
        "base": request.base,
        "created": stages.now(),
        "request": request,
        "inputs": extracted["inputs"],
        "versions": stages.versions(),
        "seconds": run.seconds(),
        "memory": run.memory(),
        "deployed": placed,
        "digests": stages.digests(folder),
    }
    report = stages.report(folder, manifest, request.settings)
    run.finish(manifest)
    show.closing(voice, folder, report, placed)
    return summary(folder, extracted, trained, exported, placed, results, verdicts, report)


def _training(request: Any) -> Any:
    from locum.training.backend import LoraShape, TrainOptions

    return TrainOptions(
        shape=LoraShape(top=o.top_layers(request.layers)),
        learning_rate=request.learning_rate,
        epochs=request.epochs,
        max_steps=request.max_steps,
        patience=request.patience,
        seed=request.seed,
        skip_bad=request.skip_bad,
    )


def _evaluation(request: Any) -> Any:
    from locum.evaluation.evaluate import EvaluateOptions

    return EvaluateOptions(rows=request.eval_rows, loss_rows=request.loss_rows, at_once=request.at_once)


def summary(
    folder: Path,
    extracted: dict[str, Any],
    trained: dict[str, Any],
    exported: dict[str, Any],
    deployed: dict[str, Any],
    results: dict[str, Any],
    verdicts: dict[str, Any],
    report: str,
) -> dict[str, Any]:
    """The JSON object of the contract."""
    stats = extracted["stats"]
    return {
        "run": str(folder),
        "turns": stats["turns"],
        "rows": stats["rows"],
        "drops": stats["drops"],
        "families": stats["families"],
        "splits": stats["splits"],
        "lines": stats["lines"],
        "loss": {key: trained[key] for key in ("train_first", "train_last", "valid_first", "valid_best")},
        "steps": trained["steps"],
        "train_seconds": trained["seconds"],
        "tokens_per_second": trained["tokens_per_second"],
        "skipped_rows": list(trained["skipped"]),
        "model_file": exported["model_file"],
        "model_bytes": exported["model_bytes"],
        "deployed": deployed,
        "parity": exported["parity"],
        "held_out_loss": results["loss"],
        "evaluated": {"scored": results["scored"], "generated": results["generated"]},
        "resemblance": {"loss": results["loss"], **results["resemblance"]},
        "competence": results["competence"],
        "signatures": results["signatures"],
        "gains": results["gains"],
        "choice": results["choice"],
        "contrasts": results["contrasts"],
        "verdicts": verdicts,
        "report": report,
    }
