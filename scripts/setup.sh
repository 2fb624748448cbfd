#!/usr/bin/env bash
# Makes .venv from the lock, once: torch first (its builds differ, so it is pinned outside the hashes), then every other
# package by hash, then this project. A stamp of the inputs makes a re-run return at once.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=.venv
python=${PYTHON:-python3}

stamp=$(cat requirements.lock requirements-torch.txt pyproject.toml scripts/setup.sh | { sha256sum 2>/dev/null || shasum -a 256; } | cut -d' ' -f1)
if [ -x "$venv/bin/python" ] && [ "$(cat "$venv/.stamp" 2>/dev/null || true)" = "$stamp" ]; then
    exit 0
fi

if [ ! -x "$venv/bin/python" ]; then
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || {
        echo "Noesis needs Python 3.11 or later; name one with PYTHON=python3.x make ..." >&2
        exit 1
    }
fi
echo "Setting up $venv (first use; a few minutes on a slow line)"
if command -v uv >/dev/null 2>&1; then
    uv=$(command -v uv)
    [ -x "$venv/bin/python" ] || "$uv" venv --quiet --python "$python" "$venv"
else
    [ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
    uv=$venv/bin/uv
    [ -x "$uv" ] || "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "uv>=0.13,<0.14"
fi

install() { "$uv" pip install --quiet --python "$venv/bin/python" "$@"; }
# The CPU build is a tenth of the size; where its index is out of reach the default build serves as well.
if ! "$uv" pip freeze --quiet --python "$venv/bin/python" 2>/dev/null | grep -qE "^$(cat requirements-torch.txt)(\+|$)"; then
    UV_HTTP_RETRIES=1 install --torch-backend=cpu -r requirements-torch.txt 2>/dev/null || install -r requirements-torch.txt
fi
install --no-deps --require-hashes -r requirements.lock
install --no-deps --editable .
echo "$stamp" >"$venv/.stamp"
