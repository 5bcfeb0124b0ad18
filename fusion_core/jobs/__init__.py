"""From a chunk of pairs to committed rows: what a worker does, whoever hosts it.

A ``ChunkWorker`` takes each pair through its stages side by side, keeps a failure to its pair, and
commits one part per chunk; ``FusionWorker`` fuses and ``ScoringWorker`` scores. It never chooses
which chunk comes next: that is the scheduler's, in ``actors``. Start reading at ``worker``, then
``pipeline`` and ``pair``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
