#!/usr/bin/env bash
# Writes requirements.lock from pyproject.toml: every extra, every platform, with hashes and without addresses. Pins that
# still fit are kept; `scripts/lock.sh --upgrade` takes the newest. torch and what only torch brings stay out of it
# (requirements-torch.txt pins torch), because its builds differ from machine to machine.
set -euo pipefail
cd "$(dirname "$0")/.."
uv=$(command -v uv || echo .venv/bin/uv)
[ -x "$uv" ] || { echo "uv is not here; run \`make setup\` first" >&2; exit 1; }

new=$(mktemp)
trap 'rm -f "$new"' EXIT
cp requirements.lock "$new"
"$uv" pip compile pyproject.toml --constraint requirements-torch.txt --all-extras --universal --python-version 3.11 \
    --generate-hashes --no-header --no-annotate --quiet --output-file "$new" "$@"
# A pin is one line that starts with the name, then one indented line a hash.
awk '/^[^ ]/ { keep = !/^(torch|triton|nvidia-[^ =]+|cuda-[^ =]+)==/ } keep' "$new" >requirements.lock
