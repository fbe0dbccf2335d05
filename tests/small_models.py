"""A tiny random base in Hugging Face's layout, and rows of many shapes: what the tests of models work on."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from locum.files import digest
from locum.types import Message, Row, ToolCall

SPECIALS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
DEFAULT_SYSTEM = 'You are Tiny, the desk\'s helper.\nSay "so" and no \\ more.'
"""With everything in it that a template's string literal must escape."""

TEMPLATE = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are Tiny, the desk\\'s helper.\nSay \"so\" and no \\\\ more.<|im_end|>\n' }}"
    "{% endif %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
"""ChatML that knows no tools, as SmolLM2's."""

_SENTENCES = (
    "You look after orders. Be brief, and name the order that you mean.",
    "The order W-1204 is late by 12 days; the customer wants to know why it is late.",
    "I will look at the order and come back to the customer before noon.",
    'You may call these tools: {"name": "lookup", "arguments": {"id": "W-17", "days": 3}}',
    "Looks good to me. Please rename the variable before we merge the change.",
    "I don't think that we should do this; it breaks what the others rely on.",
)

LOOKUP: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "lookup",
        "description": "Find an order — by its id.",
        "parameters": {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]},
    },
}


def sentences() -> tuple[str, ...]:
    """What tiny tokenizers are trained on."""
    return _SENTENCES


def write_tiny_base(folder: Path, *, template: str = TEMPLATE, **changes: Any) -> None:
    """A llama of two layers with random weights, a byte-level BPE trained on a few sentences, and a chat template.

    Args:
        folder: an existing folder.
        template: the chat template.
        changes: settings of `LlamaConfig` other than the usual ones.
    """
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=384,
        special_tokens=list(SPECIALS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(_SENTENCES, trainer)
    unknown, start, end = SPECIALS
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe, bos_token=start, eos_token=end, pad_token=end, unk_token=unknown
    )
    tokenizer.chat_template = template
    tokenizer.save_pretrained(folder)
    settings: dict[str, Any] = {
        "vocab_size": len(tokenizer),
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 4096,
        # Far above a real model's, so that every layer, head and position shows in the logits.
        "initializer_range": 0.15,
        "tie_word_embeddings": False,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 2,
    }
    torch.manual_seed(11)
    model = LlamaForCausalLM(LlamaConfig(**settings | changes))
    for name, parameter in model.named_parameters():
        if "norm" in name:
            # Ones would hide a norm that is left out.
            torch.nn.init.uniform_(parameter, 0.5, 1.5)
    model.save_pretrained(folder)


def user(text: str) -> Message:
    return Message(role="user", content=text, origin="human")


def says(text: str, *calls: ToolCall) -> Message:
    return Message(role="assistant", content=text, tool_calls=calls)


def system(text: str) -> Message:
    return Message(role="system", content=text, origin="system")


def lookup(order: str, call_id: str = "call_0", **more: Any) -> ToolCall:
    return ToolCall(id=call_id, name="lookup", arguments={"id": order, **more})


def result(content: str, call_id: str = "call_0") -> Message:
    return Message(role="tool", content=content, tool_call_id=call_id, tool_name="lookup", origin="tool")


def row(
    *messages: Message,
    session: str = "s0",
    turn: int = 0,
    family: str = "reply",
    tools: Sequence[dict[str, Any]] = (),
    **more: Any,
) -> Row:
    """A row out of its messages, the response last."""
    return Row(
        id=digest([family, messages, tools]),
        session=session,
        lineage=more.pop("lineage", session),
        turn=turn,
        family=family,
        messages=tuple(messages),
        tools=tuple(tools),
        **more,
    )


def turns(*messages: Message, **more: Any) -> list[Row]:
    """One row for each message of the agent in a conversation."""
    places = [index for index, message in enumerate(messages) if message.role == "assistant"]
    return [row(*messages[: place + 1], turn=turn, **more) for turn, place in enumerate(places)]


def many_rows() -> list[Row]:
    """Rows of every shape: alone, with system text, with tools, three chained turns, odd characters, empty tools."""
    chained = turns(
        system("You look after orders.\nBe brief."),
        user("Which order is late?"),
        says("", lookup("W-1204", days=12)),
        result('{"late": true, "days": 1.50}'),
        says("W-1204 is late by 12 days."),
        user("Why is that?"),
        says("I don't know; I will look at it.", lookup("W-1204", note='é "<&>"\n')),
        session="chained",
        family="tool_decision",
        tools=[LOOKUP],
    )
    return [
        row(user("Is it late?"), says("Yes."), session="a"),
        *chained,
        row(system("Be brief."), user("  naïve 🦉 \t12345 {{x}} 中文\r\n\nend "), says(" so \n"), session="b"),
        row(user("Review this."), says("Looks good to me."), session="c", family="code_review"),
        *turns(user("One"), says("Two"), user("Three"), says("Four"), session="d"),
        row(user("Post"), says("We ship it — today!"), session="e", family="post"),
        row(user("<tool_call>"), says('I said {"name": 1}'), session="f"),
    ]


def unasked_posts() -> list[Row]:
    """Three posts of one session that nobody asked for: the prompts of later ones end with the agent's own words."""
    return turns(says("We ship it."), says("It is out."), says("Two days late."), session="posts", family="post")


def damage_config(folder: Path, **changes: Any) -> None:
    """Change settings in a model folder's config.json."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps(config | changes), encoding="utf-8")


def write_adapter(base: Path, folder: Path, *, rank: int = 4, alpha: int = 12, size: float = 0.1) -> None:
    """An adapter of random values in PEFT's format, as training saves one; `size` is the spread of B."""
    import torch

    from locum.training.backend import LoraShape
    from locum.training.device import Device
    from locum.training.load import load_model
    from locum.training.lora import adapter_state, add_lora, save_adapter

    shape = LoraShape(rank=rank, alpha=alpha)
    layers = add_lora(load_model(base, Device("cpu", "float32")), shape, seed=3)
    state = adapter_state(layers)
    generator = torch.Generator().manual_seed(4)
    for name, value in state.items():
        if "lora_B" in name:
            value.normal_(0, size, generator=generator)
    folder.mkdir(parents=True)
    save_adapter(folder, state, shape, str(base))
