#!/usr/bin/env bash
# Renew constraints.txt: exact versions for Python 3.11 and 3.12, without hashes, comments or addresses.
# The heavy set moves together: raise these pins by hand, run the tests, then commit both.
set -euo pipefail
cd "$(dirname "$0")/.."

pins=$(mktemp)
trap 'rm -f "$pins"' EXIT
cat > "$pins" << 'PINS'
torch==2.7.0
torchvision==0.22.0
xformers==0.0.30
mosaicml==0.32.1
mosaicml-streaming==0.13.0
transformers>=4.57,<4.58
gradio==6.17.3
PINS

uv=$(command -v uv || echo .venv/bin/uv)
"$uv" pip compile pyproject.toml --all-extras --universal --python-version 3.11 --quiet --upgrade \
    --no-header --no-annotate --no-emit-index-url --constraint "$pins" --output-file constraints.txt
sed -i '/^ *#/d' constraints.txt
if grep -q '://' constraints.txt; then
    echo "make lock: constraints.txt holds an address; keep versions only." >&2
    exit 1
fi
echo "constraints.txt: $(wc -l < constraints.txt) pinned versions" >&2
