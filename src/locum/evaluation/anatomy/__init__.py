"""Valleys and plateaus: how the loss of each class of tokens responded to training."""
