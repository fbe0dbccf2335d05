"""`locum export RUN`: adapter to fused model, model file, Modelfile and parity certificate."""

from typing import Annotated

import typer

from locum.cli import options as o
from locum.cli.output import Debug, Json, Output, Quiet
from locum.locks import writing


def export(
    run: o.RunFolder,
    quant: Annotated[
        str,
        typer.Option("--quant", help=f"{o.QUANT_HELP} Or `ladder`: the smallest that is no worse than full precision."),
    ] = o.DEFAULT_QUANT,
    name: Annotated[str | None, typer.Option("--name", help="Name in the file (default: the run's).")] = None,
    adapter: Annotated[
        bool,
        typer.Option("--adapter", help="Write the adapter alone too (RUN/lora), for llama.cpp's --lora and Ollama."),
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Fuse, quantize and certify: a model file that answers as it did in training."""
    if quant != "ladder":
        o.check_choices(quant)
    with Output(json=json, quiet=quiet, debug=debug) as voice, writing(run):
        from locum.cli import show, stages
        from locum.runtime.store import check_name

        called = check_name(name or stages.model_name_of(run))
        exported = stages.export(run, called, stages.base_of(run), quant, voice.progress)
        show.export(voice, exported)
        if adapter:
            alone = stages.export_adapter(run, called, stages.base_of(run), quant, voice.progress)
            voice.say(f"adapter alone {alone['adapter_file']}; in PEFT's format {run / 'adapter'}")
            exported |= alone
        voice.result({"run": str(run), **exported})
