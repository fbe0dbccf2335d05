"""The stages of a run, each from files to files.

dataset -> train -> export -> deploy -> evaluate -> gate -> report -> manifest.json
"""

import platform
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from locum import __version__, files
from locum.errors import MismatchError, RunError
from locum.progress import Progress

if TYPE_CHECKING:
    from locum.evaluation.agent.provider import Provider
    from locum.evaluation.quant_results import Ladder
    from locum.evaluation.results import Results
    from locum.parallel import Each
    from locum.training.base import Base
    from locum.training.chat_template import Renderer
    from locum.types import Row


def versions() -> dict[str, str]:
    """Versions of everything whose change could change a result."""
    names = ("torch", "transformers", "peft", "gguf", "xllamacpp", "numpy", "scipy")
    found = {"locum": __version__, "python": platform.python_version(), "platform": sys.platform}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def digests(run: Path) -> dict[str, str]:
    """SHA-256 of what later work is held against: rows, adapter, model file, results."""
    named = ("dataset/train.jsonl", "dataset/valid.jsonl", "dataset/test.jsonl", "adapter/adapter_model.safetensors")
    found = [*(run / name for name in (*named, "evaluation/results.json")), *(run / "model").glob("*.gguf")]
    return {str(path.relative_to(run)): files.sha256_file(path) for path in found}


def now() -> str:
    """The time, in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def extract(
    sources: Sequence[str],
    out: Path,
    progress: Progress,
    *,
    context_chars: int,
    context: str,
    settings: str | None,
    allow_terms: Sequence[str],
    ray: str | None = None,
    before_writing: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Sessions to a dataset folder. Returns its statistics and what was read."""
    from locum.dataset import Options
    from locum.dataset.cache import code
    from locum.dataset.extract import extract as extract_dataset
    from locum.settings import load_settings

    settled = load_settings(settings)
    each: Each | None = None
    if ray is not None:
        from locum.ray_data import RayData

        each = RayData(ray, code)
    done = extract_dataset(
        sources,
        out,
        options=Options(
            context_chars=context_chars,
            context="absorb" if context == "absorb" else "keep",
            families=settled.families,
        ),
        agents=settled.agents,
        allow_terms=allow_terms,
        each=each,
        progress=progress,
        before_writing=before_writing,
    )
    intake = done.intake
    return {
        "stats": msgspec.to_builtins(done.stats),
        "skipped_files": len(intake.skipped),
        "skipped": dict(Counter(skipped.reason for skipped in intake.skipped).most_common()),
        "inputs": {"files": len(intake.logs), "bytes": intake.bytes, "sha256": intake.sha256},
    }


def require_dataset(folder: Path) -> Path:
    """`folder`, or its `dataset/` where it is a run.

    Raises:
        DatasetError: neither is a dataset.
    """
    from locum.dataset.store import read_stats

    found = folder / "dataset" if (folder / "dataset" / "stats.json").is_file() else folder
    read_stats(found)
    return found


def same_rows(one: Path, other: Path) -> bool:
    """Whether two folders are datasets of the same rows."""
    names = ("train.jsonl", "valid.jsonl", "test.jsonl")
    if not all((folder / name).is_file() for folder in (one, other) for name in names):
        return False
    return all(files.sha256_file(one / name) == files.sha256_file(other / name) for name in names)


def train(
    dataset: Path,
    base: str,
    run: Path,
    options: Any,
    progress: Progress,
    canaries: bool = False,
    tracker: str | None = None,
    ray: str | None = None,
    shard: bool = False,
) -> dict[str, Any]:
    """Rows to an adapter."""
    from locum.dataset.store import read_rows
    from locum.training import timings
    from locum.training.base import resolve_base
    from locum.training.ray_train import trainer
    from locum.training.trackers import tracked

    resolved = resolve_base(base, progress)
    files.remove(run / "canaries.json")
    rows, valid = read_rows(dataset, "train"), read_rows(dataset, "valid")
    key = training_key(rows, base, options)
    rows = _with_canaries(rows, resolved, run, options.seed) if canaries else rows
    with tracked(tracker, run, options) as told:
        trained: Any = trainer(ray, shard)(rows, valid, resolved, run, options, progress, observe=told)
    if ray is None:  # a cluster's speed says nothing about this computer's
        timing = timings.Timing(
            base=base,
            device=trained.device,
            dtype=trained.dtype,
            tokens=round(trained.tokens_per_second * trained.seconds),
            seconds=trained.seconds,
        )
        timings.keep(key, timing)
    return dict(msgspec.to_builtins(trained))


def training_key(rows: "Sequence[Row]", base: str, options: Any) -> str:
    """By which a planned training is known again when it is done."""
    return files.digest([[row.id for row in rows], base, options.epochs, options.max_steps])


def test_share(dataset: Path) -> float:
    """Share of the sessions that the split holds out for testing; a fifth where it holds none."""
    from locum.dataset.store import read_stats

    held_out = read_stats(dataset).sessions_by_split
    return held_out.get("test", 0) / max(1, sum(held_out.values())) or 0.2


def _with_canaries(rows: "list[Row]", base: "Base", run: Path, seed: int) -> "list[Row]":
    """The rows with canaries among them, which `RUN/canaries.json` remembers."""
    from locum.dataset.canaries import make_canaries, with_canaries
    from locum.evaluation.canaries import require_rankable
    from locum.training.chat_template import Renderer

    planted = make_canaries(seed)
    require_rankable(planted, Renderer(base.folder))
    files.write_json(run / "canaries.json", planted)
    return with_canaries(rows, planted)


def base_of(run: Path) -> str:
    """The base that a run's adapter was trained on.

    Raises:
        RunError: nothing is trained there.
    """
    note = run / "adapter" / "base.json"
    if not note.is_file():
        raise RunError(f"{str(run)!r} holds no adapter: run `locum train DATASET --base BASE --out {run}` first")
    return files.read_json(note, dict[str, str])["name"]


def prepared(base: str, progress: Progress) -> tuple["Base", "Renderer"]:
    """The base of that name, and its renderer."""
    from locum.training.base import resolve_base
    from locum.training.chat_template import Renderer

    resolved = resolve_base(base, progress)
    return resolved, Renderer(resolved.folder)


def export(run: Path, name: str, base: str, quant: str, progress: Progress) -> dict[str, Any]:
    """Adapter to fused model, model file, Modelfile and certificate; `model/` appears only if it is certified."""
    from transformers import AutoConfig

    from locum.dataset.store import read_rows
    from locum.errors import ExportError
    from locum.export.base_rounding import estimate
    from locum.export.card import model_card
    from locum.export.fuse import fuse
    from locum.export.gguf_file import write_gguf
    from locum.export.log_probabilities import cost_rows
    from locum.export.modelfile import describe_for_ollama, modelfile
    from locum.export.parity import certify
    from locum.export.read_back import check_end, check_weights
    from locum.runtime.llamacpp import LlamaCpp
    from locum.runtime.scorer import Scorer
    from locum.training.device import Device
    from locum.training.gguf_config import context_length

    resolved, renderer = prepared(base, progress)
    progress("fuse", 0, 1)
    fuse(resolved, run / "adapter", run / "fused", renderer)
    progress("fuse", 1, 1)
    held_out = read_rows(run / "dataset", "test") or read_rows(run / "dataset", "train")
    ladder = None
    if quant == "ladder":
        ladder = _climb(run, resolved, renderer, progress)
        quant = ladder.chosen
    with files.atomic_path(run / "model") as partial:
        partial.mkdir()
        if ladder is not None:
            files.write_json(partial / "ladder.json", ladder)
        gguf = partial / f"{name}.{quant}.gguf"
        write_gguf(run / "fused", resolved, renderer, gguf, quant, name, progress)
        progress("certify", 0, 1)
        weights = check_weights(gguf, run / "fused")
        check_end(gguf, renderer)
        exact = Device("cpu", "float32")
        # A wider window than the file claims would make the engine choose other rotary factors (LongRoPE).
        window = min(8192, context_length(AutoConfig.from_pretrained(run / "fused")))
        with LlamaCpp(gguf, context=window) as engine:
            parity = certify(
                renderer,
                engine,
                held_out,
                lambda: Scorer(None, run / "fused", exact),
                lambda: Scorer(gguf, run / "fused", exact),
                quantization=quant,
                weights=weights,
            )
        if resolved.quantized_from:
            with Scorer(None, run / "fused", exact) as fused:
                lost = estimate(fused, cost_rows(renderer, held_out), resolved.folder)
            parity = msgspec.structs.replace(parity, base_quantized_from=resolved.quantized_from, base_cost=lost)
        progress("certify", 1, 1)
        files.write_json(partial / "parity.json", parity)
        (partial / "README.md").write_text(model_card(name, resolved, quant, parity), encoding="utf-8")
        notes = []
        try:
            text = modelfile(describe_for_ollama(resolved, renderer), gguf.name)
            (partial / "Modelfile").write_text(text, encoding="utf-8")
        except ExportError as error:
            notes.append(str(error))
        size, sha256 = gguf.stat().st_size, files.sha256_file(gguf)
    return {
        "model_file": str(run / "model" / gguf.name),
        "model_bytes": size,
        "sha256": sha256,
        "quantized_from": resolved.quantized_from,
        "parity": {"checked": parity.checked, "identical": parity.identical},
        "notes": notes,
        "ladder": None if ladder is None else msgspec.to_builtins(ladder),
    }


def _climb(run: Path, resolved: "Base", renderer: "Renderer", progress: Progress) -> "Ladder":
    """The smallest type that is not worse than full precision on the `valid` split."""
    from tempfile import TemporaryDirectory

    from locum.dataset.store import read_rows
    from locum.evaluation.quant_ladder import climb
    from locum.export.gguf_file import write_gguf

    def write(file: Path, kind: str) -> None:
        write_gguf(run / "fused", resolved, renderer, file, kind, "ladder")

    with TemporaryDirectory(dir=run, prefix=files.PARTIAL) as scratch:
        return climb(run / "fused", renderer, read_rows(run / "dataset", "valid"), write, Path(scratch), progress)


def export_adapter(run: Path, name: str, base: str, quant: str, progress: Progress) -> dict[str, Any]:
    """The adapter alone as a LoRA file, held against the fused model on the base's own file."""
    from locum.export.adapter_file import certify_adapter, write_lora_gguf
    from locum.export.base_file import base_model_file
    from locum.runtime.llamacpp import LlamaCpp
    from locum.runtime.scorer import Scorer
    from locum.training.device import Device

    resolved, renderer = prepared(base, progress)
    with files.atomic_path(run / "lora") as partial:
        partial.mkdir()
        alone = partial / f"{name}.lora.gguf"
        write_lora_gguf(resolved, run / "adapter", alone, name)
        served = base_model_file(resolved, renderer, quant, progress)
        progress("certify", 0, 1)
        with (
            LlamaCpp(served, adapter=alone) as engine,
            Scorer(None, run / "fused", Device("cpu", "float32")) as fused,
        ):
            certify_adapter(renderer, engine, fused, quant)
        progress("certify", 1, 1)
    return {"adapter_file": str(run / "lora" / alone.name)}


def model_file_of(run: Path) -> Path:
    """The run's model file.

    Raises:
        RunError: nothing is exported there.
    """
    found = sorted((run / "model").glob("*.gguf"))
    if not found:
        raise RunError(f"{str(run)!r} holds no model file: run `locum export {run}` first")
    return found[0]


def model_name_of(run: Path) -> str:
    """The name in the run's model file (NAME.Q8_0.gguf), else the folder's own."""
    found = sorted((run / "model").glob("*.gguf"))
    return found[0].stem.rpartition(".")[0] if found else run.resolve().name


def quantization_of(model: Path) -> str:
    """The quantization in a model file's name (NAME.Q8_0.gguf)."""
    return model.suffixes[-2].lstrip(".") if len(model.suffixes) > 1 else "Q8_0"


def evaluate(
    run: Path, name: str, base: str, options: Any, progress: Progress, settings: str | None = None
) -> dict[str, Any]:
    """Agent, base and tuned on held-out rows."""
    from locum.evaluation.evaluate import evaluate as measure
    from locum.evaluation.losses import Model
    from locum.export.base_file import base_model_file
    from locum.settings import load_settings

    resolved, renderer = prepared(base, progress)
    model = model_file_of(run)
    results = measure(
        run,
        name,
        base,
        Model(base_model_file(resolved, renderer, quantization_of(model), progress), resolved.folder),
        Model(model, run / "fused"),
        renderer,
        options,
        progress,
        load_settings(settings).lexicons,
    )
    return msgspec.to_builtins(results)  # type: ignore[no-any-return]


def rescore(run: Path) -> dict[str, Any]:
    """The figures of an evaluation again, from what it left."""
    from locum.evaluation.rescore import rescore as score_again

    return msgspec.to_builtins(score_again(run))  # type: ignore[no-any-return]


def agent_of(settings: str | None) -> "Provider":
    """Whom `locum.toml` names as the agent, ready to be asked."""
    from locum.evaluation.agent.provider import Provider
    from locum.settings import load_settings

    return Provider(load_settings(settings).agent)


def ask_agent(run: Path, provider: "Provider", tell: Callable[[str], None], progress: Progress) -> dict[str, Any]:
    """The agent's own arm, in an evaluation that is there."""
    from locum.evaluation.agent.replay import replay

    with provider:
        return msgspec.to_builtins(replay(run, provider, tell, progress))  # type: ignore[no-any-return]


def gate(run: Path) -> dict[str, Any]:
    """Results to verdicts.

    Raises:
        RunError: nothing is evaluated there.
        MismatchError: the rows, the answers or the model file are not those that were evaluated.
    """
    from locum.dataset.store import read_rows, read_stats
    from locum.evaluation.going_wrong import Signatures
    from locum.evaluation.results import Results, Sample
    from locum.trust.evidence import verdicts, vetoes

    files.sweep_partials(run)  # an evaluation that was interrupted between two renames is put back
    folder = run / "evaluation"
    samples_file, signatures_file, results_file = (
        folder / name for name in ("samples.jsonl", "signatures.json", "results.json")
    )
    if not all(file.is_file() for file in (samples_file, signatures_file, results_file)):
        raise RunError(f"{str(run)!r} holds no evaluation: run `locum evaluate {run}` first")
    _check_is_what_was_evaluated(run, files.read_json(results_file, Results))
    families = tuple(read_stats(run / "dataset").families)
    samples, rows = files.read_jsonl(samples_file, Sample), read_rows(run / "dataset", "test")
    against = vetoes(files.read_json(signatures_file, Signatures))
    judged = files.sha256_file(results_file)
    found = {
        family: msgspec.structs.replace(verdict, evaluation=judged)
        for family, verdict in verdicts(samples, rows, families, test_share(run / "dataset"), against).items()
    }
    files.write_json(run / "verdict.json", found)
    return msgspec.to_builtins(found)  # type: ignore[no-any-return]


def _check_is_what_was_evaluated(run: Path, results: "Results") -> None:
    from locum.evaluation.digests import INPUTS, changed

    if not {f"evaluation/{name}" for name in INPUTS} <= results.digests.keys():
        raise MismatchError(
            f"evaluation/results.json of {str(run)!r} does not say what it was computed from; "
            f"run `locum evaluate {run} --rescore`"
        )
    different = changed(run, results.digests)
    models = list((run / "model").glob("*.gguf"))
    if models and results.model_sha256 not in map(files.sha256_file, models):
        different = (*different, "the model file")
    if different:
        raise MismatchError(
            f"{' and '.join(different)} of {str(run)!r} is not what was evaluated; run `locum evaluate {run}` again"
        )


def report(run: Path, manifest: dict[str, Any] | None = None, settings: str | None = None) -> str:
    """Everything to one page. Returns its path."""
    from locum.report import write_report
    from locum.settings import load_settings

    return str(write_report(run, manifest, load_settings(settings).prices))
