"""Base and adapter in, a model file out: fuse, GGUF, quantize, Modelfile, and the certificate that it answers as in
training."""
