"""What the processor at hand does well: where to compute, and in which precision."""

import msgspec
import torch


class Device(msgspec.Struct, frozen=True):
    """Where the model lives and the precision of its frozen weights; adapters and optimiser stay float32."""

    name: str
    dtype: str

    @property
    def torch_dtype(self) -> torch.dtype:
        """The precision as torch names it."""
        return torch.bfloat16 if self.dtype == "bfloat16" else torch.float32


def best_device() -> Device:
    """CUDA, else an Apple GPU, else the CPU; in bfloat16 where CUDA or the CPU multiplies it natively, else float32."""
    if torch.cuda.is_available():
        return Device("cuda", "bfloat16" if torch.cuda.is_bf16_supported() else "float32")
    if torch.backends.mps.is_available():
        return Device("mps", "float32")
    native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return Device("cpu", "bfloat16" if native else "float32")
