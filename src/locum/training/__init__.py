"""Rows and a base in, an adapter out: base resolution, the chat template, packing, LoRA and the loop.

The heavy libraries are imported inside the modules that use them, so importing this package costs nothing.
"""
