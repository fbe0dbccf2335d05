"""How the held-out loss falls with rows, and whether that may be extrapolated."""
