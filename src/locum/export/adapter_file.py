"""The adapter alone as a LoRA file: for llama.cpp's `--lora`, or Ollama's ADAPTER, on the base's own model file.

Format: general.type `adapter`, each weight's two factors under the weight's name with `.lora_a` and `.lora_b`
(https://github.com/ggml-org/llama.cpp/blob/master/convert_lora_to_gguf.py).
"""

import json
from pathlib import Path

import numpy as np

from locum import __version__, files
from locum.errors import ExportError
from locum.export.conversations import conversations, rendered
from locum.export.fuse import check_adapter
from locum.export.log_probabilities import LogprobAgreement, Predictor, agreement
from locum.export.parity import MEAN_BOUNDS, ServingEngine
from locum.training.base import Base
from locum.training.chat_template import Renderer
from locum.training.gguf_config import architecture_of
from locum.training.gguf_layout import tensor_names, to_gguf_layout


def write_lora_gguf(base: Base, adapter: Path, out: Path, name: str) -> None:
    """Write the adapter in PEFT's format in the folder `adapter` to the file `out`, atomically and in float32.

    The rows of B are laid out as the base's own (`to_gguf_layout`): the engine adds the product to what it holds.

    Raises:
        ExportError: it is no plain LoRA, or an adapter of another base.
    """
    from gguf import GGUFWriter
    from safetensors.numpy import load_file
    from transformers import AutoConfig

    check_adapter(base, adapter)
    settings = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))
    update = load_file(adapter / "adapter_model.safetensors")
    config = AutoConfig.from_pretrained(base.folder)
    names = dict(tensor_names(config))
    with files.atomic_path(out) as partial:
        writer = GGUFWriter(partial, arch=architecture_of(config))
        writer.add_type("adapter")
        writer.add_name(name)
        writer.add_string("adapter.type", "lora")
        writer.add_float32("adapter.lora.alpha", float(settings["lora_alpha"]))
        if base.licence:
            writer.add_license(base.licence)
        writer.add_string("locum.version", __version__)
        for key in sorted(key for key in update if key.endswith(".lora_A.weight")):
            module = key.removeprefix("base_model.model.").removesuffix(".lora_A.weight")
            hf_name = f"{module}.weight"
            if hf_name not in names:
                raise ExportError(
                    f"the adapter changes {module!r}, which the base {base.name!r} does not have; "
                    "export with the base that it was trained on"
                )
            a = update[key].astype(np.float32)
            b = update[key.replace("lora_A", "lora_B")].astype(np.float32)
            writer.add_tensor(f"{names[hf_name]}.lora_a", np.ascontiguousarray(a))
            writer.add_tensor(f"{names[hf_name]}.lora_b", np.ascontiguousarray(to_gguf_layout(hf_name, b, config)))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()


def certify_adapter(renderer: Renderer, engine: ServingEngine, fused: Predictor, quantization: str) -> LogprobAgreement:
    """Hold an engine that serves base and adapter against the fused model in torch.

    Args:
        renderer: training's text and tokens.
        engine: has the base's model file and the adapter open.
        fused: the fused model.
        quantization: the type of the base's model file, which sets the bound.

    Raises:
        ExportError: next-token log-probabilities differ by more than that on average.
    """
    prompts = [renderer.tokens(text) for _, text in rendered(renderer, conversations([], 0))[0]]
    served = [engine.next_tokens(prompt, 5) for prompt in prompts]
    expected = [fused.next_log_probabilities(prompt) for prompt in prompts]
    found = agreement(served, expected, MEAN_BOUNDS[quantization])
    if not found.holds():
        raise ExportError(
            f"base and adapter are {found.mean_abs_difference:.3f} nats off the fused model on average (at most "
            f"{found.bound} is allowed for {quantization}): the adapter file does not mean what it should"
        )
    return found
