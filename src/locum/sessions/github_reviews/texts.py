"""What a reviewer wrote in a comment, without what GitHub hides and what a bot puts under it; and what it is about."""

import re

_MARK = re.compile(r"^ {0,3}(`{3,}|~{3,})[^\n]*$|<!--|-->|<details\b[^>\n]{0,200}>|</details>", re.MULTILINE | re.I)
_FOOTER = re.compile(
    r"(?:<sub\b|<sup\b|\[!\[|!\[|[*_>]*\s?(?:🤖|👍|👎|🚀|✨))"
    r"|[*_>\s]{0,4}(?:reply (?:with|to) @|was this (?:helpful|review|comment)|did we get this right"
    r"|react (?:with|👍)|generated (?:by|with) |powered by |reviewed by \[|(?:if )?you (?:can|like) .{0,60}@[\w-]+"
    r"|this (?:review|comment) was (?:generated|written|posted) (?:by|with)|\[?fix (?:in|this|it with)\b"
    r"|co-authored-by:|useful\? react)",
    re.IGNORECASE,
)
"""How the lines begin that review bots put under what they say."""
_RULES = frozenset({"---", "***", "___"})
_TICKS = re.compile(r"`{3,}")


def said(body: str) -> str:
    """A comment's text without HTML comments, collapsed details and a bot's footer; code stays as it is, suggestions
    too.
    """
    return _without_footer(_without_hidden(body.replace("\r\n", "\n")))


def _without_hidden(body: str) -> str:
    kept: list[str] = []
    at = 0  # everything before is kept or left out
    hidden = -1  # where the outermost details or the comment begins
    depth = 0
    comment = False
    fence = ""
    for mark in _MARK.finditer(body):
        word = mark[0].strip().lower()
        if fence:
            closing = mark[1]
            if closing and closing[0] == fence[0] and len(closing) >= len(fence) and closing == mark[0].strip():
                fence = ""
        elif comment:
            if word == "-->":
                comment = False
                if not depth:
                    at = mark.end()
        elif mark[1]:
            fence = mark[1]
        elif word == "-->":
            continue
        elif word == "</details>":
            depth -= depth > 0
            if not depth and hidden >= at:
                at, hidden = mark.end(), -1
        else:
            if not depth:
                kept.append(body[at : mark.start()])
                at = hidden = mark.start()
            comment = word == "<!--"
            depth += not comment
    # What is opened and never closed stays.
    return "".join((*kept, body[at:])).strip()


def _without_footer(text: str) -> str:
    lines = text.split("\n")
    end = len(lines)
    for at in range(len(lines) - 1, -1, -1):
        line = lines[at].strip()
        if line and line not in _RULES:
            if not _FOOTER.match(line):
                break
            end = at
    # A rule belongs to the footer below it; without one it is the reviewer's own.
    while end < len(lines) and end and (not lines[end - 1].strip() or lines[end - 1].strip() in _RULES):
        end -= 1
    return "\n".join(lines[:end]).strip()


def opening(title: str, path: str, line: int | None, hunk: str) -> str:
    """What a thread is about: the pull request's title, the file and line, and the diff in a fence of its own."""
    parts = []
    if title:
        parts.append(f"Pull request: {title}")
    if path:
        parts.append(f"File: {path}, line {line}" if line is not None else f"File: {path}")
    head = "\n".join(parts)
    if not hunk.strip():
        return head
    fence = "`" * max([3, *(len(ticks) + 1 for ticks in _TICKS.findall(hunk))])
    code = hunk.strip("\n")
    return f"{head}\n\n{fence}diff\n{code}\n{fence}".lstrip()
