"""Checks that a run can use its model, and says by which hash its rows name it."""

from fusion_core.models.model_file import read_model_file
from fusion_core.models.names import PACKAGED_NAMES


def model_hash_of(model: str, sha256: str | None = None) -> str:
    """Check a method of fusing as ``read_model`` does, and return its hash.

    Whoever makes plans needs no more of it. The packaged weights are whole if their sha256 is the
    recorded one, so that no torch is loaded for them: 3 s of a driver's start on two slow cores.

    Args:
        model: As for ``read_model``.
        sha256: Expected model hash in hex.

    Raises:
        WeightsError: The model can't be used or is not the expected one.
        StorageError: It can't be reached.
    """
    if model in PACKAGED_NAMES:
        return read_model_file(model, sha256).sha256
    from fusion_core.models.fuser import read_model

    return read_model(model, sha256).model_hash
