"""The card beside a model file: what it was made from, under which licence, and what its certificate found."""

from locum.export.parity import Parity
from locum.training.base import Base

_LONG = 80
"""Characters from which a licence is a text, not a name."""


def model_card(name: str, base: Base, quantization: str, parity: Parity) -> str:
    """README.md of `RUN/model`, in the form of a Hugging Face model card."""
    licence = base.licence or ""
    named = licence if licence and len(licence) <= _LONG and "\n" not in licence else None
    lines = ["---", f"license: {named or 'other'}", "library_name: gguf", "tags: [locum]", "---", "", f"# {name}", ""]
    lines += [f"A {quantization} model file of `{base.name}`, tuned on an agent's own sessions.", ""]
    lines += ["## Licence of the base", ""]
    if named:
        lines += [f"`{named}`: what it asks of those who pass the base on holds for this file too.", ""]
    elif licence:
        lines += [licence, ""]
    else:
        lines += ["The base names none: ask its makers before this file is passed on.", ""]
    lines += ["## Certificate", "", f"Made with {parity.engine}; all of it is in `parity.json`.", ""]
    lines.append(f"- {parity.identical} of {parity.checked} conversations: the same text, the same tokens")
    if parity.stops:
        lines.append(f"- stops at `{parity.stops.token}`, with nothing after it")
    if parity.calls:
        lines.append(f"- {parity.calls.calls} tool calls came back through the API with their arguments intact")
    if parity.logprobs:
        apart = parity.logprobs.mean_abs_difference
        lines.append(f"- next-token log-probabilities {apart:.3f} nats from the fused model's on average")
    if parity.cost:
        lines.append(
            f"- {quantization} costs {parity.cost.nats_per_token:+.4f} nats/token on {parity.cost.rows} held-out rows"
        )
    if parity.base_quantized_from:
        lost = "" if parity.base_cost is None else f"; what that lost is estimated at {parity.base_cost:.3f} nats/token"
        lines.append(f"- the base exists here only as {parity.base_quantized_from}{lost}")
    return "\n".join(lines) + "\n"
