"""Comparisons and sheets for people: tables of methods with ranks, and pictures side by side.

Rows of the manifest go in, markdown, CSV, LaTeX and PNG come out. Nothing here scores or decides.
Start reading at ``comparison`` for numbers and at ``sheets`` for pictures.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
