"""Which precision a stage computes in, by the short names of training: fp32, bf16, fp16; the device is evaluation's."""

import torch

from evaluation.devices import DTYPES, DeviceError, choose_device
from evaluation.devices import choose_dtype as choose_named_dtype

__all__ = ["DeviceError", "choose_device", "choose_dtype"]

_NAMES = {"auto": "auto", "fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}


def choose_dtype(precision: str, device: torch.device) -> torch.dtype:
    """The dtype of a precision; "auto" is fp32 on a CPU, and bf16, else fp16, on a GPU. Raises DeviceError."""
    if precision not in _NAMES:
        raise DeviceError(f"There is no precision '{precision}': name {', '.join(_NAMES)}.")
    if precision == "fp16" and device.type == "cpu":
        raise DeviceError("fp16 is for GPUs: name fp32 or auto on a CPU.")
    return DTYPES[choose_named_dtype(_NAMES[precision], device)]
