"""VIF, SSIM, Qabf and AG as compiled loops for CPUs, where Numba is installed.

They add up what ``vif``, ``ssim`` and ``edges`` add up by PyTorch, which serves GPUs and the
textbook's definitions, in a third of the time. All is computed in float64.
"""
