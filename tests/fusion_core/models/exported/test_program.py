"""Archives of torch.export as they are, damaged, and planted with code that must never run."""

import contextlib
import io
import json
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import tiny_program
from torch import Tensor, nn

from fusion_core.errors import WeightsError
from fusion_core.models.exported.program import read_program
from fusion_core.models.fuser import load_fuser
from fusion_core.models.model_file import read_model_file

MODEL = "archive/models/model.json"
WEIGHTS = "archive/data/weights/"
CONSTANTS = "archive/data/constants/"


class Simple(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor([0.5]))

    def forward(self, ir: Tensor, vi: Tensor) -> Tensor:
        return torch.maximum(ir, vi) * self.scale


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of an archive as torch writes it, by name."""
    sizes = {2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}
    path = tiny_program(tmp_path_factory.mktemp("program"), Simple(), sizes)
    with zipfile.ZipFile(path) as archive:  # torch names the root folder after the file
        return {
            name.replace("plain/", "archive/", 1): archive.read(name) for name in archive.namelist()
        }


def pack(path: Path, files: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> str:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, body in files.items():
            archive.writestr(name, body)
    return str(path)


def edited(body: bytes, change: Callable[[Any], object]) -> bytes:
    value = json.loads(body)
    change(value)
    return json.dumps(value).encode()


class Payload:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path):
        self.folder = str(folder)

    def __reduce__(self) -> Any:
        return os.mkdir, (self.folder,)


def torch_pickle(folder: Path) -> bytes:
    file = io.BytesIO()
    torch.save(Payload(folder), file)
    return file.getvalue()


def pickled_entry(name: str) -> bytes:
    entry = {"path_name": name, "is_param": False, "use_pickle": True, "tensor_meta": None}
    return json.dumps({"config": {"scale": entry}}).encode()


def call(folder: Path) -> str:
    return f"__import__('os').mkdir({str(folder)!r})"


def in_sample_inputs(files: dict[str, bytes], folder: Path) -> None:
    files["archive/data/sample_inputs/model.pt"] = torch_pickle(folder)


def in_old_weights(files: dict[str, bytes], folder: Path) -> None:
    files[WEIGHTS + "model.pt"] = torch_pickle(folder)


def in_weights(files: dict[str, bytes], folder: Path) -> None:
    files[WEIGHTS + "model_weights_config.json"] = pickled_entry("weight_0")
    files[WEIGHTS + "weight_0"] = torch_pickle(folder)


def in_constants(files: dict[str, bytes], folder: Path) -> None:
    files[CONSTANTS + "model_constants_config.json"] = pickled_entry("opaque_obj_0")
    files[CONSTANTS + "opaque_obj_0"] = pickle.dumps(Payload(folder))


def in_size_of_input(files: dict[str, bytes], folder: Path) -> None:
    def change(model: Any) -> None:
        size = model["graph_module"]["graph"]["tensor_values"]["ir"]["sizes"][2]
        size["as_expr"]["expr_str"] = call(folder)

    files[MODEL] = edited(files[MODEL], change)


def in_size_of_result(files: dict[str, bytes], folder: Path) -> None:
    def change(model: Any) -> None:
        values = model["graph_module"]["graph"]["tensor_values"]
        values["maximum"]["sizes"][2]["as_expr"]["expr_str"] = call(folder)

    files[MODEL] = edited(files[MODEL], change)


def in_guard(files: dict[str, bytes], folder: Path) -> None:
    files[MODEL] = edited(files[MODEL], lambda model: model["guards_code"].append(call(folder)))


def in_operator(files: dict[str, bytes], folder: Path) -> None:
    def change(model: Any) -> None:
        node = model["graph_module"]["graph"]["nodes"][0]
        node["target"] = "torch.os.mkdir"
        node["inputs"] = [{"name": "", "arg": {"as_string": str(folder)}, "kind": 1}]

    files[MODEL] = edited(files[MODEL], change)


def in_opening_operator(files: dict[str, bytes], folder: Path) -> None:
    def change(model: Any) -> None:
        node = model["graph_module"]["graph"]["nodes"][0]
        node["target"] = "torch.ops.aten.from_file.default"
        arguments = ({"as_string": str(folder)}, {"as_bool": True}, {"as_int": 8})
        node["inputs"] = [{"name": "", "arg": arg, "kind": 1} for arg in arguments]

    files[MODEL] = edited(files[MODEL], change)


def in_name(files: dict[str, bytes], folder: Path) -> None:
    files[MODEL] = files[MODEL].replace(b'"maximum"', json.dumps(f"m = {call(folder)}\nm").encode())


# How code is planted; why the file is refused, empty where what is left is still a program that
# fuses; whether torch's own loader, or the module that it makes, runs it.
PLANTED: list[tuple[Callable[[dict[str, bytes], Path], None], str, bool]] = [
    (in_sample_inputs, "", True),
    (in_old_weights, "", True),
    (in_weights, "scale is stored as a pickle", True),
    (in_constants, "scale is stored as a pickle", True),
    (in_size_of_input, "takes sizes of the form", True),
    (in_size_of_result, "", True),
    (in_guard, "condition that can't be read", True),
    (in_operator, r"calls 'torch\.os\.mkdir'", False),
    (in_opening_operator, r"calls 'torch\.ops\.aten\.from_file", False),
    (in_name, "", False),
]


@pytest.mark.parametrize(("plant", "refused", "live"), PLANTED)
def test_planted_code_never_runs(
    plant: Callable[[dict[str, bytes], Path], None],
    refused: str,
    live: bool,
    exported: dict[str, bytes],
    tmp_path: Path,
) -> None:
    files, folder = dict(exported), tmp_path / "made-by-the-payload"
    plant(files, folder)
    path = pack(tmp_path / "planted.pt2", files)
    ir, vi = torch.rand(1, 1, 8, 9), torch.rand(1, 1, 8, 9)
    if refused:
        with pytest.raises(WeightsError, match=refused):
            load_fuser(path, "cpu")
    else:
        assert torch.equal(load_fuser(path, "cpu")(ir, vi), torch.maximum(ir, vi) * 0.5)
    assert not folder.exists()
    if live:  # the control: the payload is real, and torch's own loader falls for it
        with contextlib.suppress(Exception):
            torch.export.load(path).module()(ir, vi)
        assert folder.exists()


def test_a_compiled_library_is_not_loaded(exported: dict[str, bytes], tmp_path: Path) -> None:
    files = exported | {"archive/data/aotinductor/model/model.so": b"\x7fELF and so on"}
    image = torch.rand(1, 1, 4, 4)
    fused = load_fuser(pack(tmp_path / "p.pt2", files), "cpu")(image, image)
    assert torch.equal(fused, image * 0.5)


@pytest.mark.parametrize(
    ("name", "body", "message"),
    [
        (MODEL, b"{", "can't be read: JSONDecodeError"),
        (MODEL, b"[]", "can't be read: TypeError"),
        (MODEL, b"{}", "can't be read: KeyError"),
        ("archive/byteorder", b"big", "tensors are big-endian"),
        (WEIGHTS + "weight_0", b"", ""),
        (WEIGHTS + "weight_0", b"abc", "can't be read: ValueError"),
        (WEIGHTS + "weight_0", b"\x00\x00\xc0\x7f", "scale holds infinities or NaN"),
        (CONSTANTS + "model_constants_config.json", b"[]", "can't be read: TypeError"),
    ],
)
def test_a_damaged_archive_is_refused(
    name: str, body: bytes, message: str, exported: dict[str, bytes], tmp_path: Path
) -> None:
    path = pack(tmp_path / "p.pt2", {**exported, name: body})
    if not body:  # nothing is stored of a tensor that holds nothing, so this one is zero
        image = torch.rand(1, 1, 4, 4)
        assert not load_fuser(path, "cpu")(image, image).any()
        return
    with pytest.raises(WeightsError, match=message):
        load_fuser(path, "cpu")


def test_a_weight_beyond_its_file_is_refused(exported: dict[str, bytes], tmp_path: Path) -> None:
    index = WEIGHTS + "model_weights_config.json"

    def grow(stored: Any) -> None:
        stored["config"]["scale"]["tensor_meta"]["sizes"] = [{"as_int": 1 << 40}]

    path = pack(tmp_path / "p.pt2", exported | {index: edited(exported[index], grow)})
    with pytest.raises(WeightsError, match="out of bounds for storage"):
        load_fuser(path, "cpu")


@pytest.mark.parametrize("length", [4, 100, -30])
def test_a_file_cut_short_is_refused(
    length: int, exported: dict[str, bytes], tmp_path: Path
) -> None:
    path = Path(pack(tmp_path / "p.pt2", exported))
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(WeightsError, match=r"can't be read: BadZipFile|its end is missing"):
        load_fuser(str(path), "cpu")


def test_other_zip_files_are_refused(exported: dict[str, bytes], tmp_path: Path) -> None:
    packed = pack(tmp_path / "packed.pt2", exported, zipfile.ZIP_DEFLATED)
    with pytest.raises(WeightsError, match="compressed zip file"):
        load_fuser(packed, "cpu")
    with pytest.raises(WeightsError, match=r"holds no models/model\.json"):
        load_fuser(pack(tmp_path / "letters.zip", {"letter.txt": b"dear"}), "cpu")
    newer = edited(exported[MODEL], lambda model: model["schema_version"].update(major=9))
    with pytest.raises(WeightsError, match="schema version 9"):
        load_fuser(pack(tmp_path / "newer.pt2", exported | {MODEL: newer}), "cpu")


class Stateful(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(1))

    def forward(self, ir: Tensor, vi: Tensor) -> Tensor:
        self.seen += 1
        return ir * self.seen


class StatefulInView(Stateful):
    def forward(self, ir: Tensor, vi: Tensor) -> Tensor:
        self.seen.view(1, 1)[0].add_(1)
        return ir * self.seen


class Both(nn.Module):
    def forward(self, ir: Tensor, vi: Tensor) -> tuple[Tensor, Tensor]:
        return ir * 1, vi * 1


class NoGrad(nn.Module):
    def forward(self, ir: Tensor, vi: Tensor) -> Tensor:
        with torch.no_grad():
            return torch.maximum(ir, vi)


@pytest.mark.parametrize(
    ("network", "example", "message"),
    [
        (Stateful(), (1, 1, 8, 8), r"aten\.add_.* changes the program's own weights; call eval"),
        (StatefulInView(), (1, 1, 8, 8), r"aten\.add_.* changes the program's own weights"),
        (Both(), (1, 1, 8, 8), "expected one tensor"),
        (NoGrad(), (1, 1, 8, 8), r"wrap_with_set_grad_enabled.*run_decompositions"),
        (Simple(), (2, 1, 8, 8), "batches of 2; expected 1 or any"),
        (Simple(), (1, 3, 8, 8), "luminance alone"),
    ],
)
def test_a_program_of_another_kind_is_refused(
    network: nn.Module, example: tuple[int, ...], message: str, tmp_path: Path
) -> None:
    path = tiny_program(tmp_path, network, example=example)
    with pytest.raises(WeightsError, match=message):
        read_program(read_model_file(path))


@pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")  # torch's own
def test_blocks_without_gradients_can_be_inlined(tmp_path: Path) -> None:
    images = torch.rand(1, 1, 8, 8), torch.rand(1, 1, 8, 8)
    program = torch.export.export(NoGrad(), images).run_decompositions({})
    torch.export.save(program, tmp_path / "p.pt2")
    assert torch.equal(load_fuser(str(tmp_path / "p.pt2"), "cpu")(*images), torch.maximum(*images))


def test_an_operator_that_torch_lacks_and_a_value_that_nothing_defines_are_named(
    exported: dict[str, bytes], tmp_path: Path
) -> None:
    for old, new, message in [
        (b"aten.maximum.default", b"aten.greatest.default", "aten.greatest.default, which torch"),
        (b'"as_tensor": {"name": "p_scale"}', b'"as_tensor": {"name": "x"}', "uses 'x', which"),
        (b"aten.maximum.default", b"mine.maximum.default", "calls 'torch.ops.mine.maximum"),
    ]:
        files = exported | {MODEL: exported[MODEL].replace(old, new)}
        with pytest.raises(WeightsError, match=message):
            load_fuser(pack(tmp_path / "p.pt2", files), "cpu")
