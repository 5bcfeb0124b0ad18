"""Networks of others, as ONNX files, from any framework.

``onnx_file`` reads a file and refuses what reaches beyond it, ``program`` checks that it fuses,
``runtime`` computes it with what is installed, and ``fuser`` makes a ``Fuser`` of it. Nothing that
a file holds is run as code, and nothing beside it is read.
"""
