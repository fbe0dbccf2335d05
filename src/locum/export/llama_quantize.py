"""llama.cpp's own quantizer (`llama-quantize` on PATH): what writes K-quants where no ggml library can be called.

Usage: https://github.com/ggml-org/llama.cpp/blob/master/tools/quantize/README.md
"""

import shutil
import subprocess
from pathlib import Path

from locum.errors import ExportError

PROGRAM = "llama-quantize"


def is_present() -> bool:
    """Whether the program is on PATH."""
    return shutil.which(PROGRAM) is not None


def quantize_file(source: Path, out: Path, quantization: str) -> None:
    """Write a model file in another type; tokenizer, template and metadata stay as they are.

    Args:
        source: a `.gguf` file in full precision.
        out: the file that is written; removed again if anything goes wrong.
        quantization: the type, as `llama-quantize` names it (`Q4_K_M`).

    Raises:
        ExportError: there is no such program, it fails, or it leaves no file.
    """
    program = shutil.which(PROGRAM)
    if program is None:
        raise ExportError(f"there is no {PROGRAM} on PATH; install llama.cpp, or choose Q8_0")
    done = subprocess.run(
        [program, str(source), str(out), quantization], capture_output=True, text=True, errors="replace", check=False
    )
    if done.returncode == 0 and out.is_file() and out.stat().st_size:
        return
    out.unlink(missing_ok=True)
    said = (done.stderr.strip() or done.stdout.strip()).splitlines()
    reason = " ".join(said[-1].split())[:200] if said else "it said nothing"
    raise ExportError(f"{program} made no {quantization} of the model (exit code {done.returncode}): {reason}")
