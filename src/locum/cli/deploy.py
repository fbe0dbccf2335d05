"""`locum deploy RUN --name NAME`: the model file under a name, in Ollama or in the embedded store."""

from locum.cli import options as o
from locum.cli.output import Debug, Json, Output, Quiet


def deploy(
    run: o.RunFolder,
    name: o.Name,
    deploy: o.DeployTo = "auto",
    force: o.Force = False,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Give a run's model a name to be called by."""
    o.check_choices(o.DEFAULT_QUANT, deploy)
    with Output(json=json, quiet=quiet, debug=debug) as voice:
        from locum.cli import stages

        stages.model_file_of(run)
        deployed = stages.deploy(run, name, stages.base_of(run), deploy, force, voice.progress)
        voice.say(f"deployed in {deployed['engine']}: locum chat {name}" if deployed["name"] else "deployed nowhere")
        voice.result({"run": str(run), "deployed": deployed})
