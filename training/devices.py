"""Which device and which precision a stage computes on."""

import torch

from prompts.errors import CanvasError

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class DeviceError(CanvasError):
    """A device that is not there, or a precision that is not known or that it lacks."""


def choose_device(name: str) -> torch.device:
    """The device called `name`; "auto" is the first GPU, or the CPU where there is none. Raises DeviceError."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise DeviceError(f"There is no device '{name}': name auto, cpu, cuda or cuda:N.") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise DeviceError(f"The device '{name}' is not there (no CUDA driver or GPU was found): name cpu or auto.")
    return device


def choose_dtype(precision: str, device: torch.device) -> torch.dtype:
    """The dtype of a precision; "auto" is fp32 on a CPU, and bf16, else fp16, on a GPU. Raises DeviceError."""
    if precision == "auto":
        if device.type != "cuda":
            return torch.float32
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    if precision not in _DTYPES:
        raise DeviceError(f"There is no precision '{precision}': name auto, {', '.join(_DTYPES)}.")
    if precision == "fp16" and device.type == "cpu":
        raise DeviceError("fp16 is for GPUs: name fp32 or auto on a CPU.")
    return _DTYPES[precision]
