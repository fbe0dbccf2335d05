"""What a response decides, per family: being right is deciding the same, whatever the words.

- `tool_decision`: the calls, by name and arguments. Calls made in one message are a set: their order is not a
  decision.
- `code_review`: the verdict (`approve`, `request_changes`, `comment`); `reply`: the stance (`comply`,
`push_back`,
  `defer`). Both are read off the text by a small lexicon of English phrases, which says None rather than
  guess: where no phrase is found, or phrases that contradict each other.
- `post` and other families decide nothing that could be compared: None.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jsonschema  # type: ignore[import-untyped]
from referencing import Registry
from referencing.exceptions import Unresolvable

from locum.types import Message, ToolCall

Phrases = tuple[tuple[str, tuple[str, ...]], ...]
"""(label, regular expressions over lower-case text), most specific first: what one has matched, those after
it do not see, so that "no changes requested" is not "changes requested"."""

VERDICTS: Phrases = (
    (
        "request_changes",
        (
            r"(?:not|n't|cannot|never)(?: yet)? (?:be )?(?:approv\w+|lgtm|merge\b)",
            r"not (?:yet )?(?:ready|good|safe) to (?:merge|ship|go)",
            r"before (?:i can approve|approving)",
        ),
    ),
    ("comment", (r"(?:non-?|no |not )block(?:ing|ers?)(?: issues?| comments?)?", r"not a blocker")),
    ("approve", (r"no (?:further |other |more )?changes (?:are )?(?:requested|needed|required|necessary)",)),
    (
        "request_changes",
        (
            r"request(?:ing|ed|s)?[ _-]changes",
            r"changes (?:are )?(?:requested|required|needed)",
            r"needs (?:changes|work)",
            r"(?:must|needs? to|has to|have to|should) be (?:fixed|addressed|changed|resolved) before",
            r"\bblocking(?: issues?| comments?|:)|\bblockers?\b|(?:\A|\n)\W*block(?:ed|ing)?\b",
            r"\bblock(?:s|ed|ing)? (?:on )?(?:this |the )?(?:pr|pull request|merge|merging|release)\b",
            r"\bnack\b",
            r"hold off on (?:this|merging|the merge)",
        ),
    ),
    (
        "approve",
        (
            r"\blgtm\b",
            r"looks? good to (?:me|merge)",
            r"\bship it\b",
            r"(?:good|ready|safe|fine|ok|okay) to (?:merge|ship|go)",
            r"\bapprov(?:e|ed|es|ing)\b",
        ),
    ),
    (
        "comment",
        (
            r"comment(?:ing)? only",
            r"just (?:a |some )?(?:comments?|nits?|questions?)",
            r"\bnits?\b",
            r"\Acomment\b",
        ),
    ),
)
STANCES: Phrases = (
    (
        "push_back",
        (
            r"push(?:ing)? back",
            r"\bi (?:strongly |respectfully )?disagree",
            r"\bi(?:'d| would) (?:advise|argue|recommend) against",
            r"\bi (?:won't|will not|would not|wouldn't|refuse to)\b",
            r"\bi (?:can't|cannot)\b(?! (?:find|see|tell|say|access|open|reach|read))",
            r"\bi (?:don't|do not) think (?:we|you|that|this|it|that's)\b",
            r"(?:not|n't) (?:a good idea|advisable|recommend\w*|safe to)",
            r"\b(?:bad|risky|dangerous) idea\b",
            r"\bi(?:'d| would) rather (?:not|we|you|keep|leave)",
            r"\bi(?:'d| would) not\b",
            r"\b(?:please don't|let's not)\b",
        ),
    ),
    (
        "defer",
        (
            r"\b(?:do|would) you (?:want|like|prefer)",
            r"\b(?:should|shall|may|can) i\b[^.?!\n]*\?",
            r"\b(?:can|could|would) you (?:please )?(?:confirm|clarify|tell|share|provide|send|check)",
            r"\bwhich (?:one|of|version|branch|option)\b[^.!\n]*\?",
            r"\bplease (?:confirm|clarify|provide|let me know|tell me)",
            r"\bbefore i (?:do|proceed|start|go|can|change|touch)",
            r"\bi(?:'ll| will) (?:check|look into|get back|find out|ask|wait|need)",
            r"\blet me (?:check|look|ask|find out|get back)",
            r"\bi(?:'m| am) not sure",
            r"\bi need (?:more|to know|your|a few)",
        ),
    ),
    (
        "comply",
        (
            r"\b(?:will do|on it|right away|consider it done|go(?:ing)? ahead|happy to)\b",
            r"(?:\A|\n)\W*(?:done|sure|yes|yep|absolutely|certainly|of course|understood|ok|okay|agreed)\b",
            r"\bi(?:'ll| will) (?:\w+ly |now )?(?:do|add|fix|make|start|update|change|remove|move|set|run)\b",
            r"\bi(?:'ll| will) (?:\w+ly |now )?(?:write|rename|send|deploy|create|take)\b",
            r"\bi(?:'ve| have) (?:\w+ly |now |just )?(?:done|added|fixed|made|started|updated|changed)\b",
            r"\bi(?:'ve| have) (?:\w+ly |now |just )?(?:removed|moved|set|run|written|sent|deployed)\b",
        ),
    ),
)
LEXICONS: Mapping[str, Phrases] = {"code_review": VERDICTS, "reply": STANCES}

_STATED = re.compile(r"(?:verdict|decision|recommendation|review status)\W{1,8}([^\n]+)", re.IGNORECASE)
_QUOTED = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`|^[ \t]*>[^\n]*", re.DOTALL | re.MULTILINE)


def decides(family: str) -> bool:
    """Whether responses of this family hold decisions at all."""
    return family == "tool_decision" or family in LEXICONS


def decision_label(family: str, message: Message) -> str | None:
    """What the response decides, as a label that can be counted: for tools the sorted names, joined with " +
    ".

    None where it decides nothing recognisable.
    """
    if family == "tool_decision":
        return " + ".join(sorted(call.name for call in message.tool_calls)) or None
    if family in LEXICONS:
        return stated(message.content, LEXICONS[family])
    return None


def stated(text: str, phrases: Phrases) -> str | None:
    """The one label whose phrases the text holds; None for none, or for several.

    Quoted lines and code do not count. Where the text states its verdict in so many words ("Verdict: ..."),
    the last such line alone counts, if it is recognisable. `comment` gives way to a verdict beside it: a
    comment is what is left where nothing is decided.
    """
    plain = _QUOTED.sub(" ", text).replace("’", "'").lower()
    for line in (*reversed(_STATED.findall(plain)), plain):
        labels = _labels(line, phrases)
        if len(labels) > 1:
            labels.discard("comment")
        if len(labels) == 1:
            return labels.pop()
        if labels:
            return None
    return None


def _labels(text: str, phrases: Phrases) -> set[str]:
    labels = set()
    for label, patterns in phrases:
        text, matches = re.subn("|".join(patterns), " \N{BULLET} ", text)
        if matches:
            labels.add(label)
    return labels


def same_decision(family: str, answer: Message, recorded: Message, tools: Sequence[dict[str, Any]] = ()) -> bool | None:
    """Whether the answer decides what the agent's recorded response decided (for tools: the exact calls).

    None where the recorded response decides nothing recognisable; an answer that does not is wrong.
    """
    label = decision_label(family, recorded)
    if label is None:
        return None
    if family == "tool_decision":
        return same_calls(answer.tool_calls, recorded.tool_calls, tools)
    return decision_label(family, answer) == label


def same_tools(a: Sequence[ToolCall], b: Sequence[ToolCall]) -> bool:
    """Whether the same tools are called, each as often."""
    return sorted(call.name for call in a) == sorted(call.name for call in b)


def same_calls(a: Sequence[ToolCall], b: Sequence[ToolCall], tools: Sequence[dict[str, Any]] = ()) -> bool:
    """Whether the calls are the same one by one, in whatever order.

    Args:
        a: the calls to judge.
        b: the recorded ones.
        tools: schemas in OpenAI's shape, as in `Row.tools`; where a tool is missing, values alone are
            compared.
    """
    if len(a) != len(b):
        return False
    left = list(b)
    for call in a:
        # Being the same is transitive, so the first match is as good as any.
        match = next((other for other in left if same_call(call, other, parameters(tools, call.name))), None)
        if match is None:
            return False
        left.remove(match)
    return True


def same_call(a: ToolCall, b: ToolCall, schema: Mapping[str, Any] | None = None) -> bool:
    """Whether both call the same tool with the same arguments; ids do not matter.

    Values compare by JSON type: 1 and 1.0 are one number; true is not 1; "1.5" is neither 1.5 nor "15";
    strings are exact, white space at their ends included, since that is meaning in code and costs a model
    nothing to copy. The order of keys does not matter, that of lists does. With a schema, an argument left
    out is the default that the schema states for it, and a call that breaks the schema is not the same as one
    that keeps it.
    """
    if a.name != b.name:
        return False
    if schema is None:
        return _same(a.arguments, b.arguments)
    defaults = {
        name: value["default"]
        for name, value in _mapping(schema.get("properties")).items()
        if isinstance(value, Mapping) and "default" in value
    }
    return _same({**defaults, **a.arguments}, {**defaults, **b.arguments}) and (
        keeps_schema(a.arguments, schema) >= keeps_schema(b.arguments, schema)
    )


def valid_call(call: ToolCall, tools: Sequence[dict[str, Any]]) -> bool:
    """Whether the call names a tool of the inventory and its arguments keep that tool's schema."""
    schema = parameters(tools, call.name)
    return schema is not None and keeps_schema(call.arguments, schema)


def parameters(tools: Sequence[dict[str, Any]], name: str) -> dict[str, Any] | None:
    """The JSON Schema of a tool's arguments ({} where the inventory states none); None for a tool it
    lacks."""
    for tool in tools:
        function = _mapping(tool.get("function", tool))
        if function.get("name") == name:
            return dict(_mapping(function.get("parameters")))
    return None


def keeps_schema(arguments: Mapping[str, Any], schema: Mapping[str, Any]) -> bool:
    """Whether arguments keep a JSON Schema (draft 2020-12), and hold none that a list of properties does not
    name.

    Schemas come out of logs and are not trusted: references are never fetched, and regular expressions in
    them are not run (they can be made to take for ever). A schema that is itself broken refuses nothing but
    unknown names.
    """
    named = _mapping(schema.get("properties"))
    open_ended = "additionalProperties" in schema or "patternProperties" in schema or not named
    if not open_ended and not named.keys() >= arguments.keys():
        return False
    try:
        return bool(_Validator(dict(schema), registry=Registry()).is_valid(dict(arguments)))
    except (
        jsonschema.exceptions.UnknownType,
        Unresolvable,
        RecursionError,
        TypeError,
        AttributeError,
        ValueError,
    ):
        return True


def _additional(validator: Any, allowed: Any, value: Any, schema: Mapping[str, Any]) -> Iterator[Any]:
    # Which properties are additional depends on regular expressions, where there are any.
    if "patternProperties" not in schema:
        yield from jsonschema.Draft202012Validator.VALIDATORS["additionalProperties"](validator, allowed, value, schema)


_Validator: Any = jsonschema.validators.extend(
    jsonschema.Draft202012Validator,
    {
        "pattern": None,
        "patternProperties": None,
        "unevaluatedProperties": None,
        "additionalProperties": _additional,
    },
)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _same(a: Any, b: Any) -> bool:
    """Equality of JSON values."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, int | float) and isinstance(b, int | float):
        return a == b or (math.isnan(a) and math.isnan(b))
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(map(_same, a, b))
    return type(a) is type(b) and bool(a == b)
