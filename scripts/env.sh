#!/usr/bin/env bash
# Writes .env for docker-compose.yml: a strong random password for every line of .env.example. One that is there stays as it is.
set -euo pipefail
cd "$(dirname "$0")/.."
umask 077
[ ! -e .env ] || { echo ".env is here already and stays as it is; delete it to have new passwords made" >&2; exit 0; }
new=$(mktemp .env.XXXXXX)
trap 'rm -f "$new"' EXIT
grep -E '^[A-Z0-9_]+=' .env.example | while IFS='=' read -r name _; do
    # 24 bytes in hexadecimal: letters and digits only, since some of them stand inside an address.
    printf '%s=%s\n' "$name" "$(head -c 24 /dev/urandom | od -An -v -tx1 | tr -d ' \n')"
done >"$new"
chmod 600 "$new"
ln "$new" .env # fails where somebody was faster, so nothing is ever overwritten
echo "Made .env with $(grep -c = .env) passwords; keep it to yourself."
