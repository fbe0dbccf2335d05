"""The licence of a base in a folder, from its model card."""

import re
from pathlib import Path

_FRONT = re.compile(r"\A---\s*\n(.*?)\n---\s*$", re.DOTALL | re.MULTILINE)
_FIELD = re.compile(r"^(license|license_name):\s*['\"]?([\w.:+-]+)", re.MULTILINE)


def licence_of(folder: Path) -> str | None:
    """`license` (or, where that is `other`, `license_name`) in the front matter of README.md; None where none is told.

    Fields: https://huggingface.co/docs/hub/model-cards#specifying-a-license
    """
    card = folder / "README.md"
    if not card.is_file():
        return None
    front = _FRONT.match(card.read_text(encoding="utf-8", errors="replace"))
    told = dict(_FIELD.findall(front.group(1))) if front else {}
    named = told.get("license")
    return told.get("license_name", named) if named == "other" else named
