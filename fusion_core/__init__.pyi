from .api import fuse as fuse
from .archive.manifest import read_manifest as read_manifest
from .metrics.scores import score as score

__version__: str
