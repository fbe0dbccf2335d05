"""Model x held-out rows -> results: how much of the loss is learned, whether the answers *sound* like the
agent (resemblance) and whether they decide like it (competence), never as one number, and every number with
an interval whose unit is the session lineage. `statistics`, `signatures` and `decisions` are pure functions
of values; what runs a model lives in its own modules and imports it lazily.
"""
