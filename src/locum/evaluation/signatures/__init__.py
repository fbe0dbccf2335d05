"""The ways in which answers go wrong, one module a family of them. Pure functions of texts; none runs a model.

`details` and `grounding`: made-up details and transplants. `repetition`: repeated n-grams and loops. `phrases`:
favourite phrases and their autonomy. `templates`: answers that are all alike. `memory`: runs out of the training rows.
`secrets`: values that were redacted. None is a failure by itself, since the agent does some of each: what counts is the
excess over the agent's own rate on the same prompts, under the same detector.
"""
