"""Tells errors of a GPU, its driver and its libraries from those of pairs and of memory."""

from __future__ import annotations

import re

import torch

from fusion_core.errors import GpuFaultError
from fusion_core.models.memory import is_out_of_memory

# CUDA and its libraries, ROCm's names for the same, and what the driver reports of the hardware.
_TELLTALES = re.compile(
    r"\b(CUDA|HIP|cuDNN|cuBLAS|cuFFT|cuSOLVER|cuSPARSE|NCCL|RCCL|NVML|NVRTC|MIOpen|rocBLAS)"
    r"( \w+)? error"
    r"|\b(CUDNN|CUBLAS|CUSOLVER|CUSPARSE|HIPBLAS|ROCBLAS|HSA)_STATUS_[A-Z_]+"
    r"|\b(CUDA|HIP|NVML)_ERROR_[A-Z_]+|\b(cuda|hip)Error[A-Z]\w+|\bmiopenStatus[A-Z]\w+"
    r"|GPU is lost"
    r"|\bnccl(Unhandled\w*|System|Internal|Remote)Error|Triton Error \[CUDA\]"
    r"|device-side assert|\bECC error|unspecified launch failure|illegal memory access"
    r"|illegal instruction was encountered|misaligned address|hardware stack error"
    r"|launch timed out and was terminated|fallen off the bus|\bXid\b|\bNVLink\b"
    r"|no CUDA-capable device|No CUDA GPUs are available"
    r"|CUDA-capable device\(s\) is/are|CUDA driver (initialization|version)",
    re.IGNORECASE,
)


def is_gpu_fault(error: BaseException) -> bool:
    """Tell whether a GPU or its libraries failed, also where another error was made of it.

    Only errors of operators count, not what a file's name or content says. Want of memory is no
    such fault; nor is what may be either (``is_disguised``), until less memory was found not to
    help, of which ``first_that_fits`` makes a ``GpuFaultError``.
    """
    if is_out_of_memory(error):
        return False
    link: BaseException | None = error
    while link is not None:
        if isinstance(link, GpuFaultError | torch.AcceleratorError):
            return True
        if isinstance(link, RuntimeError) and _TELLTALES.search(str(link)):
            return True
        link = link.__cause__
    return False
