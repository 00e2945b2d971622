#!/usr/bin/env bash
# Print the path of a Chromium: $CHROMIUM, chromium, google-chrome, or the one playwright brought.
# With --install, a missing one is installed first: Debian's package, else playwright's own download.
set -euo pipefail
cd "$(dirname "$0")/.."

find_chromium() {
    local name path
    for name in "${CHROMIUM:-}" chromium chromium-browser google-chrome google-chrome-stable; do
        if [ -n "$name" ] && path=$(command -v "$name"); then
            echo "$path"
            return 0
        fi
    done
    path=$(.venv/bin/python - << 'PYTHON' 2> /dev/null
from playwright.sync_api import sync_playwright

with sync_playwright() as playwright:
    print(playwright.chromium.executable_path)
PYTHON
    ) || return 1
    [ -x "$path" ] && echo "$path"
}

if ! find_chromium && [ "${1:-}" = "--install" ]; then
    as_root=()
    [ "$(id -u)" = 0 ] || as_root=(sudo --non-interactive)
    if command -v apt-get > /dev/null && "${as_root[@]}" true 2> /dev/null; then
        echo "Installing Chromium for the browser tests (apt-get)" >&2
        "${as_root[@]}" apt-get install --yes --quiet chromium >&2 \
            || { "${as_root[@]}" apt-get update --quiet >&2 && "${as_root[@]}" apt-get install --yes --quiet chromium >&2; } \
            || true
    fi
    if ! find_chromium > /dev/null; then
        echo "Installing Chromium for the browser tests (playwright)" >&2
        .venv/bin/playwright install chromium >&2 || true
    fi
    find_chromium || {
        echo "make: no Chromium for the browser tests. Install it (Debian: apt-get install chromium) or set CHROMIUM to one." >&2
        exit 1
    }
fi
