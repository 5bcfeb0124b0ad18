"""The one error tree: every failure this software raises on purpose is a ``FuseArchiveError``.

A message says what was found, what was expected, and what to do. A ``PairError`` stops one pair
and becomes a row of the manifest; a ``GpuFaultError`` ends the process that met it, whose pairs go
to another; the others end the run, with what it has committed.

    FuseArchiveError
    ├── SettingsError
    ├── ExpectationError
    ├── StorageError
    │   └── UnreachableError
    ├── OutputBusyError
    ├── LeaseLostError
    ├── GpuFaultError
    ├── RunDeadlineError
    ├── WeightsError
    │   └── UnsupportedSizeError
    ├── ManifestError
    ├── TooManyFailuresError
    ├── TrainingError
    └── PairError
        ├── ReadError
        │   ├── ArchivedError
        │   └── SourceChangedError
        ├── DecodeError
        ├── SizeMismatchError
        ├── SameFileError
        ├── OverlapError
        ├── MisalignedError
        ├── MemoryExhaustedError
        ├── DeadlineError
        ├── MetricError
        ├── EncodeError
        ├── ScratchError
        ├── WriteError
        └── CrashError
"""


class FuseArchiveError(Exception):
    """Root of all errors raised on purpose."""


class SettingsError(FuseArchiveError):
    """A setting, template or index file that can't be used as given."""


class ExpectationError(FuseArchiveError):
    """A night that isn't as the run's settings expect it, such as files and not one pair."""


class StorageError(FuseArchiveError):
    """The object store or file system failed, or lacks a property that is relied on."""


class UnreachableError(StorageError):
    """The store gave no answer for as long as it was waited for: no pair's fault, but the run's."""


class OutputBusyError(FuseArchiveError):
    """Another run is at work on the output, and this one was told not to wait for it."""


class LeaseLostError(FuseArchiveError):
    """Another run took this run's output over; nothing more may be committed by this one."""


class RunDeadlineError(FuseArchiveError):
    """The run's time was over before its work was."""


class GpuFaultError(FuseArchiveError):
    """The GPU or its libraries failed, and not for want of memory: no pair's fault.

    They may fail at whatever this process asks of them from now on.
    """


class WeightsError(FuseArchiveError):
    """A weights file that is damaged, of an unknown kind, or not the one expected."""


class UnsupportedSizeError(WeightsError):
    """A pair of a size that an ONNX file doesn't take, padded or not."""


class ManifestError(FuseArchiveError):
    """A manifest part that can't be read or doesn't follow the schema."""


class TooManyFailuresError(FuseArchiveError):
    """More pairs failed than the run's settings allow."""


class TrainingError(FuseArchiveError):
    """A training that diverged, or whose workers failed again and again."""


class PairError(FuseArchiveError):
    """One pair failed; ``stage`` names where, and becomes a column of the manifest."""

    stage = "fuse"


class ReadError(PairError):
    """An image could not be read from storage."""

    stage = "read"


class ArchivedError(ReadError):
    """An image lies in cold storage, from where it has to be restored before it can be read."""


class SourceChangedError(ReadError):
    """An image is gone or another one than when the archive was listed."""


class DecodeError(PairError):
    """A file is not an image that can be fused or scored."""

    stage = "decode"


class SizeMismatchError(PairError):
    """Images that belong together differ in size, and nothing allows to resize one of them."""

    stage = "pair"


class SameFileError(PairError):
    """One file is named for both sides of a pair, which would be fused with itself."""

    stage = "pair"


class OverlapError(PairError):
    """Two scenes have no pixel on Earth in common."""

    stage = "pair"


class MisalignedError(PairError):
    """The infrared image lies too far off the visible one, and the settings say that this fails."""

    stage = "pair"


class MemoryExhaustedError(PairError):
    """There was not enough memory for a pair, however small the pieces it was taken in."""


class DeadlineError(PairError):
    """A pair took longer than the run's settings allow."""


class MetricError(PairError):
    """A metric was asked of images for which it is not defined."""

    stage = "score"


class EncodeError(PairError):
    """The fused image can't be held by the chosen file format."""

    stage = "encode"


class ScratchError(PairError):
    """The worker's temporary folder can't hold what a scene needs meanwhile."""

    stage = "encode"


class WriteError(PairError):
    """The fused image could not be written to storage."""

    stage = "write"


class CrashError(PairError):
    """The pair ended the process that worked on it."""

    stage = "crash"
