#!/usr/bin/env bash
# Say where Grafana's front-end libraries are, for the scripts in this folder; the first time, install them there (450 MB).
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
for program in node npm; do
    command -v "$program" >/dev/null || { echo "${0##*/}: $program is not installed" >&2; exit 2; }
done

cache=${XDG_CACHE_HOME:-$HOME/.cache}/zsr/render/$(sha256sum "$here/package.json" | cut -c1-12)
if [ ! -e "$cache/.complete" ]; then
    mkdir -p "$cache"
    cp "$here/package.json" "$cache/"
    (cd "$cache" && npm install --legacy-peer-deps --no-audit --no-fund --loglevel=error >&2)
    touch "$cache/.complete"
fi
echo "$cache"
