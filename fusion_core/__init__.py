"""Fuses infrared and visible images, scores the results, and keeps a manifest of an archive.

Everything about one pair of images or one chunk of pairs, in packages that rest on each other in
this order: errors, metrics, settings, storage, images, models, api, archive, demo, scenes, reports,
jobs, training. It knows neither Ray nor Prefect: ``actors`` and ``flows`` do. Start reading at
``api``, which fuses two arrays, or at ``jobs``, which turns a chunk of pairs into committed rows.

What is named here is loaded when it is first asked for, so that importing the package is cheap.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

__version__ = "0.2.0"
