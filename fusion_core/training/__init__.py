"""From pairs to weights: the recipe, the losses, and a training that goes on where it stopped.

Equal seeds give equal weights, and a batch depends on seed and step alone, so that a resumed
training ends at the same loss. Workers are told what they are by a ``WorkerRank``; who starts them
is up to ``actors``. Start reading at ``run``; README.md tells how to train.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
