"""Invented pairs of street scenes, for the demonstration and for tests.

One street is laid out by chance and drawn once; two cameras then look at it, one for visible light
and one for heat, by day, at night, through smoke and into glare. Nothing is taken from photographs,
and no model is trained on what is made here. Start reading at ``archive.make_pair``, then
``street``, ``things`` and ``cameras``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
