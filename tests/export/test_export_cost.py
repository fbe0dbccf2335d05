"""What quantization costs the real small model, once tuned: the demo's sessions, a short training, the certificate."""

from pathlib import Path

import pytest
from command import Command

from locum import files
from locum.export.parity import Parity


@pytest.mark.slow
def test_q8_0_of_the_tuned_model_is_within_a_hundredth_of_a_nat(locum: Command, logs: Path) -> None:
    assert locum("extract", str(logs), "--out", "data").code == 0
    train = ("train", "data", "--base", "smollm2:135m", "--out", "tuned", "--max-steps", "8")
    assert locum(*train).code == 0
    said = locum("export", "tuned", "--quant", "Q8_0", "--adapter")
    assert said.code == 0, said.err
    found = files.read_json(locum.folder / "tuned" / "model" / "parity.json", Parity)
    assert found.checked == found.identical > 8
    assert found.refused == ()
    assert found.stops is not None
    assert found.calls is not None
    assert found.cost is not None
    assert found.cost.tokens > 100
    assert abs(found.cost.nats_per_token) < 0.01
    assert found.base_quantized_from == "Q4_1"
    assert found.base_cost is not None
    assert 0 < found.base_cost < 1
    assert (locum.folder / "tuned" / "lora" / "tuned.lora.gguf").is_file()
    card = (locum.folder / "tuned" / "model" / "README.md").read_text(encoding="utf-8")
    assert "apache-2.0" in card
    assert "Q4_1" in card
