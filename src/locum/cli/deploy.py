"""`locum deploy`: a run's model file under a name, in Ollama or in the embedded store; what is there, and out again."""

from pathlib import Path
from typing import Annotated, Any

import typer

from locum.cli import options as o
from locum.cli.output import Debug, Json, Output, Quiet


def deploy(
    run: Annotated[Path | None, typer.Argument(metavar="RUN", help="A run folder.")] = None,
    name: Annotated[str | None, typer.Option("--name", help="What the model will be called.")] = None,
    deploy: o.DeployTo = "auto",
    force: o.Force = False,
    list_: Annotated[bool, typer.Option("--list", help="Show what is deployed.")] = False,
    remove: Annotated[str | None, typer.Option("--remove", metavar="NAME", help="Take a deployed model away.")] = None,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Give a run's model a name to be called by. Or: --list, --remove NAME."""
    o.check_choices(o.DEFAULT_QUANT, deploy)
    deploying = run is not None and name is not None
    if [deploying, list_, remove is not None].count(True) != 1 or (not deploying and (run or name)):
        raise typer.BadParameter("give RUN and --name NAME, or --list, or --remove NAME")
    with Output(json=json, quiet=quiet, debug=debug) as voice:
        from locum.cli import deployed, stages

        if list_:
            found = deployed.everything()
            for model in found:
                voice.say(f"{model['name']:<24} {model['engine']:<9} {model.get('base', '')}".rstrip())
            voice.result({"models": found})
        elif remove is not None:
            voice.result({"removed": deployed.remove(remove, deploy)})
        elif run is not None and name is not None:
            stages.model_file_of(run)
            done = deployed.deploy(run, name, stages.base_of(run), deploy, force, voice.progress)
            _tell(voice, done)
            voice.result({"run": str(run), "deployed": done})


def _tell(voice: Output, done: dict[str, Any]) -> None:
    voice.say(f"deployed in {done['engine']}: locum chat {done['name']}" if done["name"] else "deployed nowhere")
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
