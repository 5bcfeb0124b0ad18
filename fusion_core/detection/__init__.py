"""Detectors on infrared, visible and fused images, and how well they find what labels name.

A detector is an ONNX file with a description; labels say what is really there, and the two are
compared as COCO does. Nothing here knows of runs. Start reading at ``detector`` for boxes and at
``comparison`` for methods compared.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
