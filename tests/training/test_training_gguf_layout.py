"""The order of rotary rows in a GGUF file, against an oracle row by row."""

from types import SimpleNamespace
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from locum.training.gguf_layout import from_gguf_layout, to_gguf_layout

NAMES = ("q_proj", "k_proj", "v_proj", "o_proj")


def config(heads: int, kv_heads: int, model_type: str = "llama") -> Any:
    return SimpleNamespace(model_type=model_type, num_attention_heads=heads, num_key_value_heads=kv_heads)


@given(
    st.sampled_from(NAMES),
    st.integers(1, 4),
    st.integers(1, 3),
    st.integers(1, 5),
    st.integers(1, 4),
    st.sampled_from(["weight", "bias"]),
)
def test_there_and_back_and_rotary_pairs_side_by_side(
    name: str, groups: int, kv_heads: int, half: int, columns: int, kind: str
) -> None:
    heads = groups * kv_heads
    count = {"q_proj": heads, "k_proj": kv_heads}.get(name, heads)
    shape = (count * 2 * half, columns) if kind == "weight" else (count * 2 * half,)
    array = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    full = f"model.layers.0.self_attn.{name}.{kind}"
    there = to_gguf_layout(full, array, config(heads, kv_heads))
    assert there.shape == array.shape
    np.testing.assert_array_equal(from_gguf_layout(full, there, config(heads, kv_heads)), array)
    if name not in ("q_proj", "k_proj"):
        np.testing.assert_array_equal(there, array)
        return
    for head in range(count):
        for pair in range(half):
            # llama.cpp rotates neighbours, transformers the first half of a head against the second.
            np.testing.assert_array_equal(there[head * 2 * half + 2 * pair], array[head * 2 * half + pair])
            np.testing.assert_array_equal(there[head * 2 * half + 2 * pair + 1], array[head * 2 * half + half + pair])


def test_other_architectures_are_left_alone() -> None:
    array = np.arange(32, dtype=np.float32).reshape(8, 4)
    name = "model.layers.0.self_attn.q_proj.weight"
    np.testing.assert_array_equal(to_gguf_layout(name, array, config(2, 1, "qwen3")), array)
