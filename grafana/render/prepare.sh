#!/usr/bin/env bash
# Make a folder into the page that draws a dashboard in a browser, with Grafana's own front-end libraries.
#
#   grafana/render/prepare.sh FOLDER
#
# Served over HTTP, FOLDER/index.html draws the dashboard.json in the same folder (see app.jsx for what its query string may say).
# Needs node with npm. The packages (450 MB) are installed once into a cache.
set -euo pipefail

work=${1:?usage: prepare.sh FOLDER}
here=$(cd "$(dirname "$0")" && pwd)

cache=$("$here/packages.sh")

mkdir -p "$work"
cp "$here"/*.{jsx,js,mjs,html} "$work/"
ln -s "$cache/node_modules" "$work/node_modules"
mkdir -p "$work/public/build"
ln -s "$cache/node_modules/@grafana/ui/dist/public/img" "$work/public/build/img"
(cd "$work" && node build.mjs)
