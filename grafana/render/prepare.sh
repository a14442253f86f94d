#!/usr/bin/env bash
# Make a folder into the page that draws a dashboard in a browser, with Grafana's own front-end libraries.
#
#   grafana/render/prepare.sh FOLDER
#
# Served over HTTP, FOLDER/index.html draws the dashboard.json beside it (see app.jsx for what its query string may say).
# Needs node with npm. The packages (450 MB) are installed once into a cache.
set -euo pipefail

work=${1:?usage: prepare.sh FOLDER}
here=$(cd "$(dirname "$0")" && pwd)

for program in node npm; do
    command -v "$program" >/dev/null || { echo "prepare.sh: $program is not installed" >&2; exit 2; }
done

cache=${XDG_CACHE_HOME:-$HOME/.cache}/zsr/render/$(sha256sum "$here/package.json" | cut -c1-12)
if [ ! -e "$cache/.complete" ]; then
    mkdir -p "$cache"
    cp "$here/package.json" "$cache/"
    (cd "$cache" && npm install --legacy-peer-deps --no-audit --no-fund --loglevel=error)
    touch "$cache/.complete"
fi

mkdir -p "$work"
cp "$here"/*.{jsx,js,mjs,html} "$work/"
ln -s "$cache/node_modules" "$work/node_modules"
mkdir -p "$work/public/build"
ln -s "$cache/node_modules/@grafana/ui/dist/public/img" "$work/public/build/img"
(cd "$work" && node build.mjs)
