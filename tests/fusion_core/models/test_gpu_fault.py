import pytest
import torch

from fusion_core.errors import DecodeError, GpuFaultError, MemoryExhaustedError, WeightsError
from fusion_core.models.gpu_fault import is_gpu_fault
from fusion_core.models.memory import is_out_of_memory


def wrapped(error: Exception, cause: BaseException) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "error",
    [
        torch.AcceleratorError("CUDA error: an illegal memory access was encountered"),
        torch.AcceleratorError("anything"),
        RuntimeError("CUDA error: device-side assert triggered"),
        RuntimeError("CUDA error: uncorrectable ECC error encountered"),
        RuntimeError("CUDA error: unspecified launch failure"),
        RuntimeError("CUDA error: misaligned address"),
        RuntimeError("CUDA error: the launch timed out and was terminated"),
        RuntimeError("CUDA error: unknown error"),
        RuntimeError("CUDA driver error: invalid device context"),
        RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm(...)`"),
        RuntimeError("CUBLAS_STATUS_INTERNAL_ERROR"),
        RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"),
        RuntimeError("cuDNN error: CUDNN_STATUS_MAPPING_ERROR"),
        RuntimeError("cuFFT error: CUFFT_INTERNAL_ERROR"),
        RuntimeError("NCCL error in: ProcessGroupNCCL.cpp:2, unhandled cuda error"),
        RuntimeError("ncclUnhandledCudaError: Call to CUDA function failed."),
        RuntimeError("GPU 0000:3B:00.0: GPU has fallen off the bus"),
        RuntimeError("NVRM: Xid (PCI:0000:3B:00): 79"),
        RuntimeError("cudaGetDeviceCount(): Error 100: no CUDA-capable device is detected"),
        RuntimeError("No CUDA GPUs are available"),
        RuntimeError("Triton Error [CUDA]: an illegal instruction was encountered"),
        RuntimeError("CUDA_ERROR_ILLEGAL_ADDRESS: an address is invalid"),
        RuntimeError("launch failed: cudaErrorLaunchFailure"),
        RuntimeError("HIP error: unspecified launch failure"),
        RuntimeError("hipErrorIllegalAddress"),
        RuntimeError("MIOpen Error: no kernel could be built"),
        RuntimeError("miopenStatusInternalError"),
        RuntimeError("HSA_STATUS_ERROR_EXCEPTION: an HSAIL operation failed"),
        RuntimeError("Unable to determine the device handle for GPU 0: GPU is lost."),
        wrapped(WeightsError("it failed"), RuntimeError("CUDA error: unknown error")),
        GpuFaultError("less memory helped nothing"),
        wrapped(ValueError("x"), GpuFaultError("y")),
    ],
    ids=repr,
)
def test_errors_of_gpus_are_known_in_all_their_forms(error: Exception) -> None:
    assert is_gpu_fault(error)
    assert not is_out_of_memory(error)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB."),
        torch.AcceleratorError("CUDA error: out of memory"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("GET was unable to find an engine to execute this computation"),
        RuntimeError("Unable to find a valid cuDNN algorithm to run convolution"),
        RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR"),
        MemoryExhaustedError("memory ran out on cuda: CUDA error"),
        RuntimeError("CUDA_ERROR_OUT_OF_MEMORY: out of memory"),
        RuntimeError("hipErrorOutOfMemory"),
        RuntimeError("cudaErrorMemoryAllocation"),
        RuntimeError("HSA_STATUS_ERROR_OUT_OF_RESOURCES: the runtime has too few"),
        RuntimeError("mat1 and mat2 shapes cannot be multiplied (4x3 and 2x1)"),
        RuntimeError("Deterministic behavior was enabled … set CUBLAS_WORKSPACE_CONFIG=:4096:8"),
        RuntimeError("Expected all tensors to be on the same device, found cuda:0 and cpu"),
        DecodeError("CUDA error: device-side assert.png: the file is empty"),
        OSError(2, "no such file", "CUDA error: unknown error"),
        ValueError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"),
        KeyboardInterrupt(),
    ],
    ids=repr,
)
def test_memory_files_and_bugs_are_no_faults_of_a_gpu(error: BaseException) -> None:
    assert not is_gpu_fault(error)
