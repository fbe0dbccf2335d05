"""`locum deploy`: a run's model file under a name, in Ollama or in the embedded store; what is there, and out again."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from locum.cli import options as o
from locum.cli.output import Debug, Json, Output, Quiet


def deploy(
    run: Annotated[Path | None, typer.Argument(metavar="RUN", help="A run folder.")] = None,
    name: Annotated[str | None, typer.Option("--name", help="What the model will be called.")] = None,
    deploy: Annotated[
        str,
        typer.Option(
            "--deploy",
            help="auto, ollama, embedded or none; or openai:URL, a server that serves the run already under NAME: "
            "it is held against training.",
        ),
    ] = "auto",
    quantize: Annotated[
        str | None,
        typer.Option("--quantize", metavar="TYPE", help="Ollama shall bring an F16, BF16 or F32 file to this type."),
    ] = None,
    force: o.Force = False,
    list_: Annotated[bool, typer.Option("--list", help="Show what is deployed.")] = False,
    remove: Annotated[str | None, typer.Option("--remove", metavar="NAME", help="Take a deployed model away.")] = None,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Give a run's model a name to be called by. Or: --list, --remove NAME."""
    deploying = run is not None and name is not None
    if not (deploying and o.names_server(deploy)):
        o.check_choices(o.DEFAULT_QUANT, deploy)
    if quantize is not None and quantize not in o.OLLAMA_QUANTIZATIONS:
        raise typer.BadParameter(
            f"{quantize!r} is none of {', '.join(o.OLLAMA_QUANTIZATIONS)}", param_hint="--quantize"
        )
    if [deploying, list_, remove is not None].count(True) != 1 or (not deploying and (run or name)):
        raise typer.BadParameter("give RUN and --name NAME, or --list, or --remove NAME")
    with Output(json=json, quiet=quiet, debug=debug) as voice:
        from locum.cli import deployed, stages
        from locum.runtime.store import NONE_YET

        if list_:
            found = deployed.everything()
            for model in found:
                voice.say(f"{model['name']:<24} {model['engine']:<9} {model.get('base', '')}".rstrip())
            if not found:
                voice.say(NONE_YET)
            voice.result({"models": found})
        elif remove is not None:
            voice.result({"removed": deployed.remove(remove, deploy)})
        elif run is not None and name is not None:
            stages.model_file_of(run)
            done = deployed.deploy(run, name, stages.base_of(run), deploy, force, voice.progress, quantize)
            _tell(voice, done)
            voice.result({"run": str(run), "deployed": done})


def _tell(voice: Output, done: dict[str, Any]) -> None:
    from locum.cli.show import talking

    if "served" in done:
        _tell_served(voice, done)
        return
    voice.say(f"deployed in {done['engine']}: {talking(done)}" if done["name"] else "deployed nowhere")
    if done["engine"] != "ollama":
        return
    rendering = done["rendering"]
    if rendering is None:
        voice.say("  note: this Ollama does not tell what it renders, so its prompts are not certified")
        return
    voice.say(
        f"  prompts as in training: {rendering['identical']} of {rendering['checked']}, "
        f"{rendering['but_for_json']} more but for the spelling of JSON"
    )
    if rendering["different"]:
        voice.say(
            f"  note: {rendering['different']} held-out prompts differ; the first: {rendering['first_difference']}"
        )
    logprobs = done["logprobs"]
    if logprobs is None:
        voice.say("  note: this Ollama does not tell its log-probabilities, so they are not certified")
    else:
        voice.say(f"  next-token log-probabilities: {_nats(logprobs)}")
    if done["quantize"]:
        voice.say(
            f"  note: Ollama made {done['quantize']} of the run's file; certificate and evaluation of the run are of "
            "that file, not of this type"
        )


def _tell_served(voice: Output, done: dict[str, Any]) -> None:
    """What a server showed, and what it did not."""
    served = done["served"]
    voice.say(
        f"{done['name']} at {done['engine']}, held against training on {served['checked']} conversations: "
        f"locum chat {done['name']} --engine {done['engine']}"
    )
    shown: dict[str, Callable[[Any], str]] = {
        "prompts": lambda found: f"{found} of {served['checked']} have as many tokens as in training",
        "rendering": lambda found: f"conversations against training's own prompts: {_nats(found)}",
        "logprobs": lambda found: f"against the fused model: {_nats(found)}",
        "stops": lambda found: f"at {found['token']}, after {found['prompts']} prompts",
        "calls": lambda found: f"{found['calls']} in {found['answers']} answers came back",
    }
    for part, tell in shown.items():
        reason = served["not_shown"].get(part)
        voice.say(f"  {part:<10} {tell(served[part]) if reason is None else f'not shown by this server: {reason}'}")


def _nats(found: dict[str, Any]) -> str:
    return f"{found['mean_abs_difference']:.3f} nats off on average, at most {found['bound']} allowed"
