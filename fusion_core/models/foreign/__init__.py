"""Networks of others, as ONNX files, from any framework.

``program`` reads and checks a file, ``runtime`` computes it with what is installed, and ``fuser``
makes a ``Fuser`` of it. Nothing that a file holds is run as code, and nothing beside it is read.
"""
