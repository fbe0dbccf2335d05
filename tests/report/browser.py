"""A headless Chromium that opens a page in a frame of a given width and says what it found there."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

needs_browser = pytest.mark.skipif(not shutil.which("chromium"), reason="no Chromium on this machine")

_SCRIPT = """
f.onload = () => {
  const d = f.contentDocument, w = f.contentWindow;
  d.querySelectorAll('details').forEach(x => x.open = true);
  const wide = [...d.querySelectorAll('body *')].filter(x => {
    const r = x.getBoundingClientRect();
    return r.right > d.documentElement.clientWidth + 1 && !x.closest('.scroll, svg, .unseen, pre, thead');
  });
  const mute = [...d.querySelectorAll('svg:not(svg svg)')].filter(x =>
    x.getAttribute('aria-hidden') !== 'true' && !(x.getAttribute('role') === 'img' && x.getAttribute('aria-label')));
  const drawn = [...d.querySelectorAll('svg.curve, svg.valley, svg.ladder')].filter(x => {
    const r = x.getBoundingClientRect(); return r.width > 30 && r.height > 20 });
  document.title = 'found ' + JSON.stringify({
    scroll: d.documentElement.scrollWidth, client: d.documentElement.clientWidth,
    sections: [...d.querySelectorAll('section')].map(x => x.id), nodes: d.querySelectorAll('*').length,
    wide: wide.slice(0, 5).map(x => x.outerHTML.slice(0, 80)),
    mute: mute.map(x => x.outerHTML.slice(0, 80)), drawn: drawn.length,
    requests: w.performance.getEntriesByType('resource').map(x => x.name), scripts: d.scripts.length,
    tints: Object.fromEntries(['easier', 'much-easier', 'harder', 'much-harder'].map(x => {
      const e = d.querySelector('.said .' + x); return [x, e && w.getComputedStyle(e).backgroundColor +
        w.getComputedStyle(e).borderBottomStyle] })),
  }) }
"""


def opened(page: str, folder: Path, width: int, *switches: str) -> dict[str, Any]:
    """Open a page in a frame `width` pixels wide (a window cannot be that narrow), every fold open.

    Returns:
        `scroll` and `client`: widths of what there is and of what is seen; `wide`: what sticks out; `mute`: figures
        without a text alternative; `drawn`: how many pictures are large enough to see; `requests`: addresses that the
        page asked for; `nodes`, `sections`, `scripts`; `tints`: ground and underline of each.
    """
    frame = folder / "frame.html"
    frame.write_text(
        f'<!doctype html><iframe id=f style="border:0" width={width} height=900 srcdoc="{html.escape(page)}"></iframe>'
        f"<script>{_SCRIPT}</script>",
        encoding="utf-8",
    )
    dumped = chromium(folder, "--window-size=1400,1000", *switches, "--dump-dom", frame.as_uri())
    found = re.search(r"<title>found (.*?)</title>", dumped, re.DOTALL)
    assert found, dumped[:300]
    read: dict[str, Any] = json.loads(html.unescape(found[1]))
    return read


def chromium(folder: Path, *arguments: str) -> str:
    """What a headless Chromium with a profile of its own prints."""
    switches = (
        "headless no-sandbox disable-gpu disable-quic no-first-run disable-background-networking "
        "disable-component-update disable-sync hide-scrollbars virtual-time-budget=5000"
    )
    command = ["chromium", *(f"--{switch}" for switch in switches.split())]
    command += [f"--user-data-dir={folder / 'profile'}", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
