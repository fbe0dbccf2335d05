"""Adding an adapter into its base, in full precision, as a Hugging Face model folder."""

import json
import math
import shutil
from pathlib import Path

from locum import files
from locum.errors import ExportError
from locum.training.base import Base
from locum.training.chat_template import Renderer


def check_adapter(base: Base, adapter: Path) -> None:
    """Refuse what is not this base's adapter, or more than plain LoRA.

    Args:
        base: what it is to be added to.
        adapter: a folder in PEFT's format. What training noted beside it (`base.json`) says which weights it fits.

    Raises:
        ExportError: it is damaged, of another base, or of another kind.
    """
    from safetensors import SafetensorError, safe_open

    try:
        config = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))
        rank = int(config["r"])
        if rank < 1 or not math.isfinite(float(config["lora_alpha"])):
            raise ValueError(f"rank {rank}, alpha {config['lora_alpha']}")
        with safe_open(adapter / "adapter_model.safetensors", framework="np") as weights:
            shapes = {name: tuple(weights.get_slice(name).get_shape()) for name in weights.keys()}  # noqa: SIM118
        for name, shape in shapes.items():
            other = shapes.get(name.replace(".lora_A.", ".lora_B."), ())
            if ".lora_A." in name and not (len(shape) == len(other) == 2 and shape[0] == other[1] == rank):
                raise ValueError(f"{name} has the shape {shape}, its partner {other}, and the rank is {rank}")
    except (OSError, ValueError, TypeError, LookupError, AttributeError, SafetensorError) as error:
        raise ExportError(f"the adapter {str(adapter)!r} is damaged ({error!r}); train it again") from None
    if config.get("use_dora") or config.get("use_rslora") or config.get("modules_to_save"):
        raise ExportError(
            f"the adapter {str(adapter)!r} is no plain LoRA (DoRA, rsLoRA or saved modules); train it with locum"
        )
    note = adapter / "base.json"
    trained_on = files.read_json(note, dict[str, str]) if note.is_file() else {}
    if trained_on.get("fingerprint", base.fingerprint()) != base.fingerprint():
        raise ExportError(
            f"the adapter {str(adapter)!r} was trained on other weights than those of {base.name!r} "
            f"(then {trained_on.get('name')!r}); export with the base that it was trained on"
        )


def fuse(base: Base, adapter: Path, out: Path, renderer: Renderer) -> None:
    """Write `base` with `adapter` added to its weights into the folder `out` (`RUN/fused`).

    The sum is computed in float32 and stored in float32: a bfloat16 fused model would round away the smaller half of
    a low-rank update before quantization has even begun.

    Args:
        base: the unquantized base.
        adapter: a folder in PEFT's format.
        out: replaced if it exists.
        renderer: its chat template is stored with the model, so that whoever serves the folder renders as in training.

    Raises:
        ExportError: the adapter names a weight that the base does not have, uses something beyond plain LoRA, or one
            of the two is damaged.
    """
    import torch
    from safetensors import safe_open
    from safetensors.torch import load_file, save_file

    check_adapter(base, adapter)
    config = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))
    scale = config["lora_alpha"] / config["r"]
    update = load_file(adapter / "adapter_model.safetensors")
    pending = {name.removesuffix(".lora_A.weight") for name in update if name.endswith(".lora_A.weight")}
    fused: dict[str, torch.Tensor] = {}
    for shard in sorted(base.folder.glob("*.safetensors")):
        with safe_open(shard, framework="pt") as weights:
            for name in weights.keys():  # noqa: SIM118 - safe_open is no mapping
                value = weights.get_tensor(name).float()
                key = f"base_model.model.{name.removesuffix('.weight')}"
                if key in pending:
                    a, b = update[f"{key}.lora_A.weight"].float(), update[f"{key}.lora_B.weight"].float()
                    if (found := (len(b), a.shape[1])) != value.shape:
                        raise ExportError(
                            f"the adapter changes {key!r} in the shape {found}, and the base {base.name!r} has "
                            f"{tuple(value.shape)}; export with the base that it was trained on"
                        )
                    value = value + scale * (b @ a)
                    pending.remove(key)
                if not value.isfinite().all():
                    raise ExportError(
                        f"{name!r} holds what is no number: the base {base.name!r} or the adapter {str(adapter)!r} is "
                        "damaged; fetch the base again, or train again"
                    )
                fused[name] = value.contiguous()
    if pending:
        raise ExportError(
            f"the adapter changes {min(pending)!r}, which the base {base.name!r} does not have; "
            "export with the base that it was trained on"
        )
    with files.atomic_path(out) as partial:
        partial.mkdir()
        save_file(fused, partial / "model.safetensors", metadata={"format": "pt"})
        settings = json.loads((base.folder / "config.json").read_text(encoding="utf-8"))
        settings["dtype"] = "float32"
        settings.pop("torch_dtype", None)
        (partial / "config.json").write_text(json.dumps(settings, indent=2), encoding="utf-8")
        if (base.folder / "generation_config.json").is_file():
            shutil.copy(base.folder / "generation_config.json", partial)
        renderer.tokenizer.save_pretrained(partial)
