"""A model file in, text and log-probabilities out: one protocol (`protocol.Engine`), several engines."""
