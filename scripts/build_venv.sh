#!/usr/bin/env bash
# Build the virtual environment with uv, from the exact versions of constraints.txt.
# Usage: scripts/build_venv.sh FOLDER EXTRAS     TORCH_BACKEND=cpu|cu126|auto chooses uv's torch backend.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$1
extras=$2

# A Python this project runs on, if the machine has one; a shim that is there but runs nothing does not count.
python=""
for candidate in python3 python3.11 python3.12 python; do
    if command -v "$candidate" > /dev/null 2>&1 \
        && "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' > /dev/null 2>&1; then
        python=$(command -v "$candidate")
        break
    fi
done

# uv: the machine's own, or one in a small environment beside .venv.
uv=$(command -v uv || true)
if [ -z "$uv" ]; then
    any_python=${python:-$(command -v python3 || true)}
    if [ -z "$any_python" ]; then
        echo "make: no Python found. Install Python 3.11 or 3.12 (Debian, Ubuntu: apt-get install python3 python3-venv)." >&2
        exit 1
    fi
    if [ ! -x .uv/bin/uv ]; then
        echo "Installing uv into .uv" >&2
        if ! "$any_python" -m venv .uv > /dev/null 2>&1; then
            rm -rf .uv
            echo "make: Python's venv module is missing (Debian, Ubuntu: apt-get install python3-venv), or install uv." >&2
            exit 1
        fi
        .uv/bin/python -m pip install --quiet --disable-pip-version-check "$(grep '^uv==' constraints.txt)"
    fi
    uv=$PWD/.uv/bin/uv
fi

if [ -z "$python" ]; then
    echo "This machine has no Python 3.11 or 3.12: uv is asked to fetch one." >&2
    python=3.11
fi
if ! "$uv" venv --quiet --allow-existing --python "$python" "$folder"; then
    echo "make: no Python 3.11 or 3.12 here and none could be fetched. Install one (Debian, Ubuntu: python3.11 or python3.12), then run make again." >&2
    exit 1
fi

backend=()
if [ -n "${TORCH_BACKEND:-}" ]; then
    backend=(--torch-backend "$TORCH_BACKEND")
fi
echo "Installing the pinned libraries into $folder (some gigabytes the first time)" >&2
"$uv" pip install --quiet --python "$folder" --constraint constraints.txt "${backend[@]}" --editable ".[$extras]"
