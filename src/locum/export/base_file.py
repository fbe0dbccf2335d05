"""The base as a model file, made like the tuned one: what the `base` arm of an evaluation and `--beside base` run."""

from pathlib import Path

from locum import files
from locum.export.gguf_file import write_gguf
from locum.home import cache_folder
from locum.progress import Progress, silent
from locum.training.base import Base
from locum.training.chat_template import Renderer


def base_model_file(base: Base, renderer: Renderer, quantization: str, progress: Progress = silent) -> Path:
    """The base in `quantization` with training's chat template, kept in the cache.

    Comparing the tuned model with a base of another quantization or another template would measure those, not training.
    """
    weights = sorted(base.folder.glob("*.safetensors"))
    stamps = [[path.name, path.stat().st_size, path.stat().st_mtime_ns] for path in weights]
    key = files.digest([str(base.folder), stamps, renderer.template, quantization])[:16]
    target = cache_folder() / "model_files" / f"{base.folder.name}-{key}.{quantization}.gguf"
    if not target.is_file():
        write_gguf(base.folder, base, renderer, target, quantization, base.name, progress)
    return target
