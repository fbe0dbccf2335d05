"""Whose model wrote a session: its terms decide what may be done with the rows."""

_OWNERS = {
    "claude": "anthropic",
    "gpt": "openai",
    "chatgpt": "openai",
    "codex": "openai",
    "o1": "openai",
    "o3": "openai",
    "o4": "openai",
    "gemini": "google",
    "gemma": "google",
    "llama": "meta",
    "deepseek": "deepseek",
    "mistral": "mistral",
    "mixtral": "mistral",
    "codestral": "mistral",
    "devstral": "mistral",
    "qwen": "alibaba",
    "qwq": "alibaba",
    "kimi": "moonshot",
    "grok": "xai",
    "minimax": "minimax",
    "glm": "zhipu",
    "command": "cohere",
}
"""How a family of models is called -> who made it. Routers (OpenRouter, LiteLLM, clouds) only pass them on."""


def provider_of(model: str | None) -> str | None:
    """Who made a model, by its name; routes before it ("openrouter/anthropic/...") are looked past.

    Returns:
        A lower-case name, or None where the name tells nothing.
    """
    name = (model or "").lower().rsplit("/", 1)[-1]
    for prefix in ("openrouter-", "us.", "eu.", "anthropic.", "meta."):
        name = name.removeprefix(prefix)
    return next((owner for family, owner in _OWNERS.items() if name.startswith(family)), None)
