"""What the exports of tracers have in common: spans, runs and observations, each of which repeats what was said before
it, and scores that people gave them.

`records` reads and counts them in every file format, `payloads` finds the messages in what went in and came out,
`messages` converts those of every dialect, `scores` tells what a score means, `recorder` makes sessions of it all.
"""
