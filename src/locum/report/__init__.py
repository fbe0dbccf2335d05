"""Everything that a run left behind -> one page a person would rather look at than read.

`inputs` reads the files, `view` (with `curve`, `evidence`, `voices` and `card`) turns them into sentences and
figures, `charts` draws, and `page` renders the template. Only `inputs` and `page` touch the disk.
"""

from locum.report.page import write_report

__all__ = ["write_report"]
