"""What those whose models wrote the sessions allow concerning the training of models on their outputs.

A table in our own words, with the source of every line and how far we could see it, and two functions of it: whose
terms a row falls under, and whether a dataset may be made. It is a reading aid and no legal advice; terms change, and
which of a provider's contracts binds you is for you to find out. docs/terms.md shows the same table.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from locum.errors import DatasetError
from locum.sessions.providers import provider_of
from locum.sessions.scripted.log import MODEL as SCRIPTED

LOOKED_AT = "2026-11-24"
"""When the table was last gone through."""

Standing = Literal["allowed", "restricted", "unknown"]
Seen = Literal["text", "quoted", "not seen"]


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the table."""

    provider: str
    """The word for `--allow-terms`."""
    covers: str
    """Which models or texts it is about."""
    standing: Standing
    """`restricted`: forbidden, or allowed only for what does not compete; `unknown`: we could not tell."""
    says: str
    """What the terms say, in our own words."""
    source: str
    """Document and section."""
    url: str
    version: str
    """Date of the version that we know of."""
    seen: Seen
    """`text`: a copy of the document itself; `quoted`: the clause as others quote it; `not seen`: neither."""


def _line(provider: str, covers: str, standing: Standing, says: str, where: tuple[str, str, str], seen: Seen) -> Terms:
    source, url, version = where
    return Terms(
        provider=provider,
        covers=covers,
        standing=standing,
        says=says,
        source=source,
        url=url,
        version=version,
        seen=seen,
    )


_ANTHROPIC = _line(
    "anthropic",
    "Claude models",
    "restricted",
    "You own the outputs. You may not use the services to train models that compete with Anthropic's, and the usage "
    "policy asks for permission before inputs and outputs train a model. The help page allows narrow tools that do not "
    "compete (classifying, summarising, extracting, searching).",
    (
        "Commercial Terms of Service, D.4; Usage Policy; help page 12326764 (training a model on outputs)",
        "https://www.anthropic.com/legal/commercial-terms",
        "2025-06-17 (policy: 2025-09-15)",
    ),
    "quoted",
)
_OPENAI = _line(
    "openai",
    "GPT, o-series and Codex models",
    "restricted",
    "You own the output. You may not use it to develop models that compete with OpenAI. The business agreement excepts "
    "models that only sort or classify data and are not passed on, and tuning through OpenAI's own service.",
    (
        "Services Agreement, 3.3(e); Terms of Use, what you cannot do",
        "https://openai.com/policies/services-agreement/",
        "2026-01-01",
    ),
    "quoted",
)
_GOOGLE = _line(
    "google",
    "Gemini models",
    "restricted",
    "You may not use the services to develop models that compete with them, nor try to extract or replicate their "
    "models.",
    (
        "Gemini API Additional Terms of Service, Use Restrictions",
        "https://ai.google.dev/gemini-api/terms",
        "2025-05-20 (a version of 2026-04-28 is quoted with the same clause)",
    ),
    "text",
)
_GEMMA = _line(
    "google",
    "Gemma open weights",
    "allowed",
    "A model that is trained on Gemma's outputs to behave like it counts as derived from Gemma: its use restrictions "
    "and notices go along with the model. Newer Gemmas are said to be under Apache-2.0.",
    ("Gemma Terms of Use, Model Derivatives", "https://ai.google.dev/gemma/terms", "2026-04-01"),
    "quoted",
)
_XAI = _line(
    "xai",
    "Grok models",
    "restricted",
    "Output must not train language models or other AI systems (enterprise terms), nor serve models or services that "
    "compete; distilling outputs is forbidden by the use policy.",
    (
        "Enterprise Terms of Service; Acceptable Use Policy",
        "https://x.ai/legal/terms-of-service-enterprise",
        "2026-08-14",
    ),
    "quoted",
)
_MISTRAL = _line(
    "mistral",
    "Mistral models",
    "unknown",
    "Text outputs belong to the customer. The limits that we found quoted concern images and the reconstruction of the "
    "models; we did not see the whole text. Weights under the Mistral Research License, and outputs of them, are for "
    "non-commercial research only; those under Apache-2.0 set no limit.",
    (
        "Commercial Terms of Service, 3; Mistral AI Research License",
        "https://legal.mistral.ai/terms/commercial-terms-of-service",
        "2026-09-25",
    ),
    "quoted",
)
_LLAMA = _line(
    "meta",
    "Llama 3.1 and later",
    "allowed",
    "Outputs may train other models. If the model is passed on, its name must begin with Llama, the licence and "
    "'Built with Llama' must go along, and the use policy applies.",
    (
        "Llama 3.1 to 4 Community License, 1.b.i",
        "https://www.llama.com/llama3_1/license/",
        "2024-07-23 (Llama 4: 2025-04-05)",
    ),
    "text",
)
_OLD_LLAMA = _line(
    "meta",
    "Llama 2 and Llama 3.0",
    "restricted",
    "Outputs must not improve any other large language model; derivatives of the same Llama are excepted.",
    ("Llama 2 and Meta Llama 3 Community License, 1.b.v", "https://www.llama.com/llama3/license/", "2024-04-18"),
    "text",
)
_DEEPSEEK = _line(
    "deepseek",
    "DeepSeek models",
    "allowed",
    "Rights in the outputs are assigned to you, and training other models on them, distillation included, is named as "
    "a permitted use. The R1 weights are under the MIT licence. Models that DeepSeek distilled into another maker's "
    "base carry that base's licence too.",
    (
        "Open Platform Terms of Service, 4.2",
        "https://cdn.deepseek.com/policies/en-US/deepseek-open-platform-terms-of-service.html",
        "2026-04-29",
    ),
    "quoted",
)
_ALIBABA = _line(
    "alibaba",
    "Qwen models that only Alibaba Cloud serves (max, plus, turbo, flash, long)",
    "restricted",
    "Outputs of Model Studio must not train what competes with Alibaba or its affiliates.",
    (
        "Alibaba Cloud International Website Product Terms of Service, 4.48 (Model Studio)",
        "https://www.alibabacloud.com/help/en/legal/latest/alibaba-cloud-international-website-product-terms-of-service-v-3-8-0",
        "3.8.0",
    ),
    "quoted",
)
_QWEN = _line(
    "alibaba",
    "Qwen open weights",
    "allowed",
    "Most are under Apache-2.0. Those under the Qwen licence allow training on outputs; a model that is passed on must "
    "say 'Built with Qwen' or 'Improved using Qwen'. Where Alibaba Cloud served them, its terms come on top.",
    (
        "Qwen License Agreement; Qwen's answer on its outputs",
        "https://huggingface.co/Qwen/Qwen2.5-72B-Instruct/discussions/18",
        "2024-09-19",
    ),
    "quoted",
)
_COHERE = _line(
    "cohere",
    "Command and Aya models",
    "unknown",
    "We did not find the clauses of the terms. The open weights are under CC BY-NC: no commercial use.",
    ("Terms of Use; Cohere Labs CC BY-NC licence", "https://cohere.com/terms-of-use", "not known"),
    "not seen",
)
_GITHUB = _line(
    "github",
    "Reviews and comments on GitHub",
    "allowed",
    "What you wrote is yours. What others wrote stays theirs, and code keeps its licence: look at those before you "
    "pass rows on. We saw nothing about training.",
    (
        "GitHub Terms of Service, D.3 (user-generated content)",
        "https://docs.github.com/en/site-policy/github-terms/github-terms-of-service",
        "2020-11-16",
    ),
    "text",
)
_X = _line(
    "x",
    "Posts on X",
    "restricted",
    "Whoever uses the API or its content may not train or fine-tune a foundation or frontier model with it; the terms "
    "do not say what that is. Your own posts remain yours; whether an archive that you asked for falls under the "
    "agreement we could not tell.",
    ("Developer Agreement, III.A(k)", "https://docs.x.com/developer-terms/agreement", "2026-04-27"),
    "quoted",
)
_LOCAL = _line(
    "local",
    "Open weights under Apache-2.0 or MIT, and models that run on your own machine",
    "allowed",
    "Such licences say nothing about outputs. Other open weights have terms of their own: read the model's card.",
    ("Apache License 2.0; MIT License", "https://www.apache.org/licenses/LICENSE-2.0", "2004-01"),
    "text",
)
_DEMO = _line(
    "locum",
    "The demo's scripted agent",
    "allowed",
    "Written by rules that are part of Locum; no model's output is in it.",
    ("Locum's own licence (Apache-2.0)", "https://www.apache.org/licenses/LICENSE-2.0", "2004-01"),
    "text",
)
_UNKNOWN = _line(
    "unknown",
    "Everything else, and rows whose log names neither provider nor model",
    "unknown",
    "Not in this table: find out whose model it was and read its terms.",
    ("none", "", "not known"),
    "not seen",
)

TABLE = (
    _ANTHROPIC,
    _OPENAI,
    _GOOGLE,
    _GEMMA,
    _XAI,
    _MISTRAL,
    _LLAMA,
    _OLD_LLAMA,
    _DEEPSEEK,
    _ALIBABA,
    _QWEN,
    _COHERE,
    _GITHUB,
    _X,
    _LOCAL,
    _DEMO,
    _UNKNOWN,
)
"""All lines, in the order in which docs/terms.md shows them."""

RESTRICTED = tuple(sorted({terms.provider for terms in TABLE if terms.standing == "restricted"}))
"""The words that `--allow-terms` takes."""

_BY_MODEL = (
    (re.compile(re.escape(SCRIPTED)), _DEMO),
    (re.compile(r"gpt-?oss"), _LOCAL),
    (re.compile(r"gemma"), _GEMMA),
    # Llama 2, and Llama 3 without a minor version: "llama3:8b", "meta-llama-3-8b", but not "llama-3.1", "llama3_2".
    (re.compile(r"codellama|(?:meta-)?llama-?(?:2|3(?![._-]?[1-9](?![0-9]*b)))"), _OLD_LLAMA),
    (re.compile(r"(?:meta-)?llama"), _LLAMA),
    (re.compile(r"qw(?:en|q).*-(?:max|plus|turbo|flash|long)"), _ALIBABA),
    (re.compile(r"qw(?:en|q)"), _QWEN),
)
"""What a model's name tells where its maker alone does not; the first that fits."""

_BY_PROVIDER = {
    "anthropic": _ANTHROPIC,
    "claude": _ANTHROPIC,
    "openai": _OPENAI,
    "azure": _OPENAI,
    "google": _GOOGLE,
    "gemini": _GOOGLE,
    "xai": _XAI,
    "grok": _XAI,
    "mistral": _MISTRAL,
    "mistralai": _MISTRAL,
    "meta": _OLD_LLAMA,
    "deepseek": _DEEPSEEK,
    "alibaba": _ALIBABA,
    "dashscope": _ALIBABA,
    "qwen": _ALIBABA,
    "cohere": _COHERE,
    "github": _GITHUB,
    "x": _X,
    "twitter": _X,
    "local": _LOCAL,
    "ollama": _LOCAL,
    "llamacpp": _LOCAL,
    "lmstudio": _LOCAL,
    "locum": _DEMO,
}
"""Provider as logs write it, letters and digits alone. Without a model's name the stricter of two lines counts."""


def terms_of(provider: str | None, model: str | None) -> Terms:
    """The terms under which a model's outputs fall.

    The model's name decides before the provider: who only passes a model on (a router, a cloud) is not its maker.

    Args:
        provider: as a row has it, or None.
        model: as a row has it, routes before it included ("openrouter/anthropic/claude-..."), or None.
    """
    name = (model or "").lower().rsplit("/", 1)[-1]
    for pattern, terms in _BY_MODEL:
        if pattern.match(name):
            return terms
    word = re.sub(r"[^a-z0-9]", "", (provider_of(model) or provider or "").lower())
    return _BY_PROVIDER.get(word, _UNKNOWN)


def check(models: Mapping[str, int], allowed: Sequence[str], unit: str = "row") -> tuple[str, ...]:
    """Whether a dataset may be made of rows that these models wrote, and what its card says of the terms.

    Args:
        models: "provider/model" -> rows, as `Stats.models` has it.
        allowed: the providers whose restricted terms the user has taken note of (`--allow-terms`).
        unit: what is counted, in the singular.

    Returns:
        One line of text for each line of the table that rows fall under, the most rows first.

    Raises:
        DatasetError: a word in `allowed` is no provider of the table, or rows fall under restricted terms that are
            not allowed.
    """
    for word in allowed:
        if word not in RESTRICTED:
            raise DatasetError(f"no restricted provider {word!r}: --allow-terms takes one of {', '.join(RESTRICTED)}")
    rows: Counter[Terms] = Counter()
    for name, count in models.items():
        provider, _, model = name.partition("/")
        rows[terms_of(provider, model)] += count
    refused: Counter[str] = Counter()
    for terms, count in rows.items():
        if terms.standing == "restricted" and terms.provider not in allowed:
            refused[terms.provider] += count
    if refused:
        raise DatasetError(_refusal(refused, [terms for terms in rows if terms.provider in refused], unit))
    return tuple(_card_line(terms, _counted(count, unit)) for terms, count in rows.most_common())


def under(models: Mapping[str, int]) -> set[str]:
    """The providers whose terms these models' rows fall under.

    Args:
        models: as `check` takes them.
    """
    parts = (name.partition("/") for name in models)
    return {terms_of(provider, model).provider for provider, _, model in parts}


def _counted(count: int, unit: str) -> str:
    return f"{count:,} {unit}{'' if count == 1 else 's'}"


def _refusal(refused: Counter[str], terms: Sequence[Terms], unit: str) -> str:
    who = " and ".join(f"{provider} ({_counted(count, unit)})" for provider, count in refused.most_common())
    pages = ", ".join(dict.fromkeys(line.url for line in terms if line.standing == "restricted"))
    flags = " ".join(f"--allow-terms {provider}" for provider, _ in refused.most_common())
    return (
        f"the terms of {who} restrict the training of models on outputs: read {pages} (docs/terms.md has a summary), "
        f"and if your use is within them pass {flags}; it is asked once on this machine"
    )


def _card_line(terms: Terms, count: str) -> str:
    said = {
        "allowed": "allowed",
        "restricted": f"restricted, taken note of with --allow-terms {terms.provider}",
        "unknown": "unknown",
    }[terms.standing]
    line = f"{terms.provider}, {terms.covers}: {count}; training on outputs: {said}. {terms.says}"
    return f"{line} {terms.source}, version {terms.version}, {terms.url}" if terms.url else line
