"""Results -> verdict: which family of work may be handed over, on what evidence, and how much evidence is
missing. Everything here is a pure function of values and never sees a model. The default is `INSUFFICIENT`:
not knowing is the ordinary state, and only evidence from enough sessions changes it.
"""
