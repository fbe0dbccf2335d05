"""Arguments that several verbs take, with one help text each."""

from pathlib import Path
from typing import Annotated

import typer


def _named_sources(sources: list[str]) -> list[str]:
    """An empty word is a shell variable that was not set; as a path it would be the working directory."""
    if not all(sources):
        raise typer.BadParameter("a SOURCE is empty; name a file, a folder (`.` for this one) or `auto`")
    return sources


Sources = Annotated[
    list[str],
    typer.Argument(
        metavar="SOURCE...",
        callback=_named_sources,
        help="Session logs: files, folders, or `auto` for the known places.",
    ),
]
Name = Annotated[str, typer.Option("--name", help="What the model will be called.")]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")]
DatasetFolder = Annotated[Path, typer.Argument(metavar="DATASET", help="A dataset folder, or a run that holds one.")]
BaseName = Annotated[
    str,
    typer.Option("--base", help="Alias, Hugging Face id or folder, .gguf file, or ollama:NAME."),
]
MaxSteps = Annotated[int | None, typer.Option("--max-steps", min=1, help="Stop training after this many steps.")]
Epochs = Annotated[int, typer.Option("--epochs", min=1, help="Passes over the training rows.")]
Patience = Annotated[
    int,
    typer.Option(
        "--patience", min=0, help="Stop after so many looks at held-out rows without a better one; 0: take every step."
    ),
]
Layers = Annotated[str, typer.Option("--layers", help="Layers that learn: all, or top:K for the last K alone.")]


def _strength(value: float) -> float:
    if not 0 < value <= 2:  # nor a value that is no number
        raise typer.BadParameter(f"{value:g} is not above 0 and at most 2")
    return value


Strength = Annotated[
    float,
    typer.Option(
        "--lambda",
        callback=_strength,
        help="Strength of the adapter that is written: 1 as trained, less is nearer to the base, 2 at most.",
    ),
]
LearningRate = Annotated[float, typer.Option("--learning-rate", min=1e-7, max=1.0, help="Peak learning rate.")]
Seed = Annotated[int, typer.Option("--seed", help="Seed of everything that is drawn.")]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Leave out rows that cannot be trained on, and count them.")]
Canaries = Annotated[
    bool, typer.Option("--canaries", help="Plant generated secrets among the rows, to measure what training remembers.")
]
QUANT_HELP = "Type of the model file: F32, F16, BF16, Q8_0, Q6_K, Q5_K_M, Q5_1, Q5_0, Q4_K_M, Q4_1 or Q4_0."
Quant = Annotated[str, typer.Option("--quant", help=QUANT_HELP)]
DeployTo = Annotated[str, typer.Option("--deploy", help="auto, ollama, embedded or none.")]
Force = Annotated[bool, typer.Option("--force", help="Replace what stands under this name.")]
ContextChars = Annotated[int, typer.Option("--context-chars", min=1000, help="Budget of a prompt, in characters.")]
Context = Annotated[
    str, typer.Option("--context", help="Standing documents: keep them in the prompts, or absorb them by training.")
]
Settings = Annotated[
    str | None, typer.Option("--settings", metavar="FILE", help="Instead of locum.toml in the working directory.")
]


def _known_providers(words: list[str] | None) -> list[str] | None:
    if words:
        from locum.dataset.terms import RESTRICTED  # only here: it would make every `--help` wait

        for word in words:
            if word not in RESTRICTED:
                raise typer.BadParameter(f"{word!r} is no provider with restrictive terms: {', '.join(RESTRICTED)}")
    return words


AllowTerms = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-terms",
        metavar="PROVIDER",
        callback=_known_providers,
        help="You have read this provider's terms on training; asked once.",
    ),
]
EvalRows = Annotated[int, typer.Option("--eval-rows", min=1, help="Held-out rows that base and tuned answer, at most.")]
AtOnce = Annotated[
    int,
    typer.Option(
        "--at-once",
        min=1,
        max=64,
        metavar="N",
        help="Prompts that a model answers at once; above 1 in less time, with other answers than one at a time.",
    ),
]
LossRows = Annotated[
    int,
    typer.Option(
        "--loss-rows", min=1, help="Held-out rows whose loss is computed, at most; answered are some of these."
    ),
]

DEFAULT_BASE = "smollm2:135m"
DEFAULT_QUANT = "Q8_0"
DEFAULT_CONTEXT = 6000
DEFAULT_EVAL_ROWS = 64
DEFAULT_LOSS_ROWS = 256
DEFAULT_EPOCHS = 3
DEFAULT_LEARNING_RATE = 2e-3
DEFAULT_PATIENCE = 3
DEFAULT_LAYERS = "all"

# The rooms' own values, stated again because importing them would make `--help` wait; tests/cli holds them equal.
QUANTIZATIONS = (
    "Q8_0", "F32", "F16", "BF16", "Q6_K", "Q5_K_M", "Q5_1", "Q5_0", "Q4_K_M", "Q4_1", "Q4_0",
)  # fmt: skip
OLLAMA_QUANTIZATIONS = ("Q8_0", "Q4_K_M", "Q4_K_S")
TRACKERS = ("tensorboard", "mlflow", "wandb")
DEPLOYMENTS = ("auto", "ollama", "embedded", "none")


def settled_source(source: str) -> str:
    """A source on this computer by its whole path, so that the run finds it from anywhere."""
    return source if source == "auto" or "://" in source else str(Path(source).absolute())


def settled(base: str) -> str:
    """A base on this computer by its whole path, so that the run finds it from anywhere."""
    path = Path(base).expanduser()
    return str(path.absolute()) if base and path.exists() else base


def top_layers(layers: str) -> int | None:
    """`top:K` as K, `all` as None; anything else is a usage error (exit code 2)."""
    kind, _, count = layers.partition(":")
    if layers == "all":
        return None
    if kind == "top" and count.isascii() and count.isdigit() and int(count) > 0:
        return int(count)
    raise typer.BadParameter(f"{layers!r} is neither all nor top:K, such as top:16", param_hint="--layers")


def check_context(context: str) -> None:
    """Refuse a word that is none of the choices, as a usage error (exit code 2)."""
    if context not in ("keep", "absorb"):
        raise typer.BadParameter(f"{context!r} is neither keep nor absorb", param_hint="--context")


def names_server(engine: str) -> bool:
    """Whether an engine is named by a server's address (`openai:URL`)."""
    return engine.startswith("openai:")


def check_choices(quant: str, deploy: str = "auto") -> None:
    """Refuse a word that is none of the choices, as a usage error (exit code 2)."""
    if quant not in QUANTIZATIONS:
        raise typer.BadParameter(f"{quant!r} is none of {', '.join(QUANTIZATIONS)}", param_hint="--quant")
    if deploy not in DEPLOYMENTS:
        raise typer.BadParameter(f"{deploy!r} is none of {', '.join(DEPLOYMENTS)}", param_hint="--deploy")
