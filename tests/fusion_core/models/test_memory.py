import errno
import logging
import weakref

import numpy as np
import pytest
import torch

from fusion_core.errors import (
    DecodeError,
    GpuFaultError,
    MemoryExhaustedError,
    StorageError,
    WeightsError,
)
from fusion_core.images.gdal_errors import GdalOutOfMemoryError
from fusion_core.models.memory import (
    NoRoom,
    first_that_fits,
    in_room,
    is_disguised,
    is_out_of_memory,
    short_reason,
    tile_sizes,
    tiles_remark,
)


def wrapped(error: Exception, cause: BaseException) -> Exception:
    error.__cause__ = cause
    return error


DISGUISED = [
    RuntimeError("GET was unable to find an engine to execute this computation"),
    RuntimeError("FIND was unable to find an engine to execute this computation"),
    RuntimeError("Unable to find a valid cuDNN algorithm to run convolution"),
    RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR"),
    RuntimeError("cuDNN error: CUDNN_STATUS_NOT_INITIALIZED"),
    RuntimeError("CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`"),
]


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB."),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to"),
        RuntimeError(
            "Check 'ptr' failed at cpu_memory.cpp:257: Failed to allocate 9 bytes of memory"
        ),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("CUDA_ERROR_OUT_OF_MEMORY"),
        RuntimeError("hipErrorOutOfMemory"),
        RuntimeError("cudaErrorMemoryAllocation"),
        RuntimeError("HSA_STATUS_ERROR_OUT_OF_RESOURCES"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        torch.AcceleratorError("CUDA error: out of memory"),
        *DISGUISED,
        wrapped(WeightsError("it failed"), DISGUISED[0]),
        RuntimeError("std::bad_alloc"),
        RuntimeError("could not create a primitive"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        wrapped(DecodeError("a.tif can't be read"), GdalOutOfMemoryError(2, 2, "cannot have 9 B")),
        wrapped(DecodeError("the image is damaged: MemoryError"), MemoryError()),
        wrapped(WeightsError("it failed"), wrapped(RuntimeError("x"), torch.OutOfMemoryError())),
    ],
    ids=repr,
)
def test_memory_that_ran_out_is_known_in_all_its_forms(error: Exception) -> None:
    assert is_out_of_memory(error)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("out of memory"),
        RuntimeError("could not create a primitive descriptor for a convolution"),
        RuntimeError("CUDA error: an illegal memory access was encountered"),
        RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"),
        DecodeError("CUDNN_STATUS_INTERNAL_ERROR.png: the file is empty"),
        RuntimeError("mat1 and mat2 shapes cannot be multiplied"),
        DecodeError("out of memory.png: the file is empty"),
        StorageError("can't write a: OSError: no space left on device"),
        wrapped(StorageError("can't write a"), OSError(errno.ENOSPC, "No space left on device")),
        MemoryExhaustedError("memory ran out on cpu: can't allocate memory"),
        KeyboardInterrupt(),
    ],
    ids=repr,
)
def test_other_errors_are_not_taken_for_it(error: BaseException) -> None:
    assert not is_out_of_memory(error)


def test_the_allocators_of_this_machine_are_known() -> None:
    with pytest.raises(RuntimeError) as by_torch:
        torch.empty(1 << 50)
    with pytest.raises(MemoryError) as by_numpy:
        np.empty(1 << 50)
    assert is_out_of_memory(by_torch.value)
    assert is_out_of_memory(by_numpy.value)


def test_what_an_attempt_took_is_given_back_before_the_next(
    caplog: pytest.LogCaptureFixture,
) -> None:
    kept: list[weakref.ref[torch.Tensor]] = []

    def attempt() -> int:
        tensor = torch.zeros(10)
        kept.append(weakref.ref(tensor))
        raise torch.OutOfMemoryError("no room\nand much more about it")

    found = in_room(attempt, "3 of 40x30 pixels", "cpu")
    assert found == NoRoom("OutOfMemoryError: no room", disguised=False)
    assert kept[0]() is None
    assert caplog.messages == [
        "memory ran out on cpu for 3 of 40x30 pixels: OutOfMemoryError: no room"
    ]


def test_results_and_other_errors_pass_through(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    assert in_room(lambda: 5, "it", "cpu") == 5

    def fail() -> int:
        raise DecodeError("damaged")

    with pytest.raises(DecodeError, match="damaged"):
        in_room(fail, "it", "cpu")
    assert caplog.messages == []


def test_the_first_size_that_fits_is_taken() -> None:
    tried: list[int] = []

    def action(size: int) -> str:
        tried.append(size)
        if size > 200:
            raise MemoryError
        return f"by {size}"

    assert first_that_fits(tile_sizes(768), action, "tiles", "cpu") == (192, "by 192")
    assert tried == [768, 384, 192]


def test_where_nothing_fits_the_error_says_what_was_tried_and_what_to_do() -> None:
    def action(size: int) -> str:
        raise MemoryError

    with pytest.raises(MemoryExhaustedError) as raised:
        first_that_fits((512, 256), action, "a pair of 40x30 pixels in tiles", "cuda:1")
    message = str(raised.value)
    assert "ran out on cuda:1 for a pair of 40x30 pixels in tiles of 256;" in message
    assert "fewer workers" in message
    assert "max_megapixels" in message
    assert raised.value.stage == "fuse"
    assert raised.value.__context__ is None  # which would keep the attempt's frames


def test_an_ambiguous_error_that_no_size_helps_is_the_gpus() -> None:
    errors = [MemoryError(), RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR")]

    def action(size: int) -> str:
        raise errors[size]

    with pytest.raises(GpuFaultError) as raised:
        first_that_fits((0, 1), action, "a pair in tiles", "cuda:1")
    assert "CUDNN_STATUS_INTERNAL_ERROR on cuda:1 for a pair in tiles of 1;" in str(raised.value)
    assert not is_out_of_memory(raised.value)
    with pytest.raises(MemoryExhaustedError):
        first_that_fits((1, 0), action, "a pair in tiles", "cuda:1")


def test_honest_errors_are_not_ambiguous() -> None:
    assert all(map(is_disguised, DISGUISED))
    assert not is_disguised(torch.OutOfMemoryError("CUDA out of memory."))
    assert not is_disguised(RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"))


@pytest.mark.parametrize(
    ("largest", "expected"),
    [
        (768, [768, 384, 192, 128]),
        (1024, [1024, 512, 256, 128]),
        (400, [400, 192, 128]),
        (144, [144, 128]),
        (128, [128]),
    ],
)
def test_tiles_are_halved_down_to_a_floor_and_stay_multiples_of_16(
    largest: int, expected: list[int]
) -> None:
    assert list(tile_sizes(largest)) == expected


def test_remark_and_reason_are_short() -> None:
    begin = "fused in tiles of 384 pixels, because memory "
    assert tiles_remark(384) == f"{begin}ran out"
    assert tiles_remark(384, "was expected to run out") == f"{begin}was expected to run out"
    assert short_reason(MemoryError()) == "MemoryError"
    assert len(short_reason(RuntimeError("x" * 999))) < 230
