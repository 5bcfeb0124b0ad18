"""Detectors on infrared, visible and fused images, and how well they find what labels name.

A detector is an ONNX file with a description. ``detector`` runs it on an image, ``labels`` reads
what is really there, and ``average_precision`` compares the two as COCO does.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
