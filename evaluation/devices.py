"""Where a model runs and in which precision, with "auto" worked out once and written down."""

import torch

from prompts.errors import CanvasError

DTYPES: dict[str, torch.dtype] = {
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}


class DeviceError(CanvasError):
    """A device or a precision that cannot be had here."""


def choose_device(name: str) -> torch.device:
    """The device called `name` ("cpu", "cuda", "cuda:1", ...); "auto" is a GPU, or the CPU where there is none."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise DeviceError(f"There is no device '{name}' here: name another, or 'auto'.") from error
    return device


def choose_dtype(name: str, device: torch.device) -> str:
    """The line of DTYPES called `name`; "auto" is float32 on a CPU, and bfloat16 or else float16 on a GPU."""
    if name == "auto":
        if device.type == "cpu":
            return "float32"
        return "bfloat16" if device.type == "cuda" and torch.cuda.is_bf16_supported() else "float16"
    if name not in DTYPES:
        raise DeviceError(f"There is no precision '{name}'. Known: auto, {', '.join(DTYPES)}.")
    return name
