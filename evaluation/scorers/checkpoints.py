"""Checkpoints that are one file: read without running what is inside, and loaded whole or not at all.

In: a file that `locate_file` found. Out: tensors by name, or a module that holds them.
"""

from typing import Any

import torch
from torch import Tensor, nn

from evaluation.weights import DamagedWeightsError, LocatedFile, NotWeightsError, hash_of_files, reason


def read_checkpoint(located: LocatedFile, what: str) -> dict[str, Tensor]:
    """The tensors in `located` by name; a dictionary "state_dict" around them is opened.

    Raises DamagedWeightsError, and NotWeightsError for a file that holds something else.
    """
    try:
        if located.path.suffix == ".safetensors":
            from safetensors.torch import load_file

            held: Any = load_file(located.path)
        else:
            held = torch.load(located.path, map_location="cpu", weights_only=True)
    except Exception as error:  # unpickling raises whatever the bytes make it raise
        raise DamagedWeightsError(
            f"{located.path}, which should be {what}, cannot be read ({reason(error)}): download it again."
        ) from error
    if isinstance(held, dict) and isinstance(held.get("state_dict"), dict):
        held = held["state_dict"]
    if not isinstance(held, dict) or not held or not all(isinstance(value, Tensor) for value in held.values()):
        raise NotWeightsError(f"{located.path} is not {what}: it holds no tensors by name.")
    return {str(name).removeprefix("module."): value for name, value in held.items()}


def load_whole(module: nn.Module, state: dict[str, Tensor], *, located: LocatedFile, what: str) -> None:
    """Give `module` the tensors `state`, every one of them and no other. Raises NotWeightsError."""
    check_whole(module, state, located=located, what=what)
    module.load_state_dict(state)


def check_whole(module: nn.Module, state: dict[str, Tensor], *, located: LocatedFile, what: str) -> None:
    """Raises NotWeightsError unless `state` has what `module` needs, by name and shape; the module may be on "meta"."""
    expected = module.state_dict()
    missing, unknown = sorted(expected.keys() - state.keys()), sorted(state.keys() - expected.keys())
    misshapen = sorted(name for name in expected.keys() & state.keys() if expected[name].shape != state[name].shape)
    for names, problem in [(missing, "lacks"), (unknown, "has the unknown"), (misshapen, "has another shape of")]:
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise NotWeightsError(f"{located.path} is not {what}: it {problem} {names[0]}{more}.")


def described(located: LocatedFile) -> dict[str, Any]:
    """Where a checkpoint came from and the hash of its file, as JSON values."""
    return {
        "model": located.source,
        "revision": located.revision,
        "weights_sha256": hash_of_files([located.path]),
    }
