"""Checks that a run can use its model, and says by which hash its rows name it."""

from fusion_core.models.model_file import read_model_file, recorded_hash
from fusion_core.models.names import EARLIER_NAMES, PACKAGED_NAMES


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


def model_hashes_before(model: str, sha256: str | None = None) -> tuple[str, ...]:
    """Return the hashes of the weights that a packaged name stood for in earlier versions.

    Args:
        model: As for ``read_model``.
        sha256: The hash that is asked for, if any: whoever names one means no other.
    """
    earlier = EARLIER_NAMES.get(model, ()) if sha256 is None else ()
    return tuple(recorded_hash(name) for name in earlier)
