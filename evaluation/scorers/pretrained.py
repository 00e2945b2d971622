"""Models and tokenizers in the layout of transformers: found, loaded whole, and with errors that name them."""

import logging
from pathlib import Path
from typing import Any

import torch
from transformers.utils import logging as transformers_logging

from evaluation.weights import DamagedWeightsError, Located, NotWeightsError, locate, read_json, reason


def find_model(source: str, revision: str | None, *, kinds: tuple[str, ...], what: str) -> tuple[Located, str]:
    """Where the model `source` is, and which of `kinds` its config.json says it is.

    Raises MissingWeightsError, and NotWeightsError for a model of another kind.
    """
    located = locate(source, marker="config.json", what=what, revision=revision, option="--weights")
    kind = read_json(located.marker, what).get("model_type")
    if kind not in kinds:
        expected = " or ".join(repr(name) for name in kinds)
        raise NotWeightsError(f"{located} is not {what}: its config.json says model_type {kind!r} and not {expected}.")
    return located, kind


def load_model(cls: Any, located: Located, *, what: str, device: torch.device, unused: str | None = None) -> Any:
    """The model of class `cls` in float32, ready to judge. Weights under the prefix `unused` may be absent.

    Raises DamagedWeightsError, and NotWeightsError where weights are missing that transformers would invent.
    """
    model, report = load_part(cls, located, what=what, dtype=torch.float32, output_loading_info=True)
    absent = [name for name in report["missing_keys"] if unused is None or not name.startswith(unused)]
    absent += [name for name, *_ in report["mismatched_keys"]]
    if absent:
        raise NotWeightsError(
            f"{located} is not {what}: it lacks {len(absent)} of its weights, the first is {sorted(absent)[0]}."
        )
    return model.to(device).eval()


def load_part(cls: Any, located: Located, *, what: str, **options: Any) -> Any:
    """What `cls.from_pretrained` makes of `located`, quietly. Raises DamagedWeightsError."""
    where: Any = {"revision": located.revision or "main", "local_files_only": located.offline}
    quiet = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity(logging.ERROR)
    try:
        return cls.from_pretrained(located.source, **where, **options)
    except Exception as error:  # what loading raises comes from the files, whichever library met them first
        raise DamagedWeightsError(
            f"{located}, {what}, cannot be loaded ({reason(error)}): download or save it again."
        ) from error
    finally:
        transformers_logging.set_verbosity(quiet)


def holds(folder: Path, *names: str) -> bool:
    """Whether `folder` has one of the files `names`, and so can be its own companion."""
    return any((folder / name).is_file() for name in names)
