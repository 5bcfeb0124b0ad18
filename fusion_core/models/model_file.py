"""The file of a model: read from any store, and told by its content what kind it is."""

import hashlib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Literal

from fusion_core.errors import StorageError, WeightsError
from fusion_core.models.names import BASELINE_NAMES, EARLIER_NAMES, PACKAGED_NAMES
from fusion_core.storage.store import Storage

_HEADER_LENGTH_BYTES = 8  # safetensors begins with the length of its JSON header
_PACKAGED = resources.files("fusion_core.models.weights")
_ONNX = b"\x08"  # the tag of the version, which protobuf writes first

Kind = Literal["weights", "onnx"]


@dataclass(frozen=True)
class ModelFile:
    """The bytes of a model's file.

    Attributes:
        url: Where it was read from, or the name of packaged weights.
        body: The bytes.
        sha256: Their sha256 in hex, which is the model hash.
    """

    url: str
    body: bytes
    sha256: str

    @property
    def stem(self) -> str:
        """The file's name without folder and suffix."""
        name = self.url.rpartition("/")[2]
        return name.rpartition(".")[0] or name

    @property
    def kind(self) -> Kind:
        """``weights`` for a safetensors file, ``onnx`` for a network as ONNX.

        Raises:
            WeightsError: It is neither; a pickle is not looked into.
        """
        if self.body[_HEADER_LENGTH_BYTES : _HEADER_LENGTH_BYTES + 1] == b"{":
            return "weights"
        if self.body.startswith(_ONNX):
            return "onnx"
        if self.body.startswith(b"PK\x03\x04"):
            raise WeightsError(
                f"{self.url} is a zip file, as torch writes programs (.pt2) and pickles (.pt); "
                "expected a safetensors file or an ONNX file. Convert a program where it comes "
                "from: torch.onnx.export(torch.export.load('name.pt2'), f='name.onnx', "
                "dynamo=True, external_data=False). Of a pickle load the network's weights there, "
                "and export the network by torch.onnx.export(network.eval(), (ir, vi), "
                "'name.onnx', dynamo=True, external_data=False)."
            )
        if self.body.startswith(b"\x80"):
            raise WeightsError(
                f"{self.url} is a pickle, which could run any code and is never loaded. Convert it "
                "where it comes from: RefineFuse weights by "
                "fusion_core.models.weights_file.save_weights, any other network by "
                "torch.onnx.export."
            )
        raise WeightsError(
            f"{self.url} is not a safetensors file and no ONNX file either, or it is cut short. "
            "Give one of these, or fetch it again."
        )


def read_model_file(url: str, sha256: str | None = None) -> ModelFile:
    """Read the file of a model.

    Args:
        url: Path or fsspec URL, or the name of weights that come with this package
            (``PACKAGED_NAMES``).
        sha256: Expected hash of the file in hex; the packaged weights bring their own. That of
            weights that the name stood for in an earlier version brings these.

    Raises:
        WeightsError: The file is missing or not the expected one.
        StorageError: The store failed for good.
    """
    if url in PACKAGED_NAMES:
        name = _version_of(url, sha256)
        body = (_PACKAGED / f"{name}.safetensors").read_bytes()
        sha256 = sha256 or recorded_hash(name)
    else:
        body = _read(url)
    file = ModelFile(url, body, hashlib.sha256(body).hexdigest())
    check_hash(f"The file of model {url}", file.sha256, sha256)
    return file


def recorded_hash(name: str) -> str:
    """Return the sha256 in hex that packaged weights must have.

    Args:
        name: One of ``PACKAGED_NAMES``.
    """
    return (_PACKAGED / f"{name}.sha256").read_text().split()[0]


def check_hash(what: str, found: str, expected: str | None) -> None:
    """Compare a hash with the expected one, if any.

    Raises:
        WeightsError: They differ.
    """
    if expected is not None and found != expected.lower():
        raise WeightsError(
            f"{what} has sha256 {found}, expected {expected}. It is damaged or another one; fetch "
            "it again or give the hash of the one that is meant."
        )


def _version_of(name: str, sha256: str | None) -> str:
    wanted = (sha256 or "").lower()
    earlier = EARLIER_NAMES.get(name, ())
    return next((one for one in earlier if recorded_hash(one) == wanted), name)


def _read(url: str) -> bytes:
    storage = Storage(url)
    try:
        return storage.read("")
    except FileNotFoundError as error:
        raise _absent(url) from error
    except StorageError as error:
        if storage.is_local and Path(storage.fs_path("")).is_dir():
            raise _absent(url) from error
        raise


def _absent(url: str) -> WeightsError:
    return WeightsError(
        f"No model at {url}. Give the path or URL of a safetensors file or of an ONNX file, or a "
        f"name: {', '.join((*PACKAGED_NAMES, *BASELINE_NAMES))}."
    )
