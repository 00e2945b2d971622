"""`python -m training`, for launchers: `composer -n 8 -m training run RECIPE ...` trains on eight GPUs."""

import sys

from prompts.errors import CanvasError
from training.cli import app

if __name__ == "__main__":
    try:
        app()
    except CanvasError as error:
        sys.exit(f"canvas train: {error}")
