"""Any object store behind one class: listed, read, and written exclusively, with retries.

``Storage`` bounds, repeats and counts every call, says what failed in the project's own errors, and
hides what stores differ in: what a lost race answers, how a version is told. It never knows what an
object means. Start reading at ``store``; ``retry`` and ``errors`` say what is tried again.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
