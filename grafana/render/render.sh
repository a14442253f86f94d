#!/usr/bin/env bash
# Take a picture of a dashboard as Grafana's own front-end libraries draw it from a running Prometheus.
#
#   grafana/render/render.sh OUT.png [dark|light]
#
# Needs node with npm, chromium, python3. The packages (450 MB) are installed once into a cache. Settings, with their defaults:
#   PROM=http://127.0.0.1:9090     Prometheus, reached from this machine
#   DASHBOARD=replication          which JSON below grafana/dashboards, or the path of any dashboard's JSON
#   FROM=now-24h                   start of the time range
#   SCRAPE=15                      Prometheus' scrape interval, in seconds
#   VARIABLES=                     values of variables as in an address: var-guest=102&var-instance=alpha%3A9847
#   SIZE=1600,                     the picture's width and height; without a height as high as the dashboard
# Beside the picture lies OUT.json: what each panel shows, every query, every error. Exit status 1 if there was one.
set -euo pipefail

out=$(realpath -m "${1:?usage: render.sh OUT.png [dark|light]}")
theme=${2:-dark}
here=$(cd "$(dirname "$0")" && pwd)
dashboard=${DASHBOARD:-replication}
case $dashboard in
    *.json) ;;
    *) dashboard=$here/../dashboards/$dashboard.json ;;
esac
[ -r "$dashboard" ] || { echo "render.sh: there is no dashboard $dashboard" >&2; exit 2; }

for program in chromium python3; do
    command -v "$program" >/dev/null || { echo "render.sh: $program is not installed" >&2; exit 2; }
done

cache=$("$here/packages.sh")
work=$(mktemp -d)
server=
finish() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    rm -rf "$work"
}
trap finish EXIT

cp "$here"/*.{jsx,js,mjs,html} "$work/"
cp "$dashboard" "$work/dashboard.json"
ln -s "$cache/node_modules" "$work/node_modules"
mkdir -p "$work/public/build"
ln -s "$cache/node_modules/@grafana/ui/dist/public/img" "$work/public/build/img"
(cd "$work" && node build.mjs)

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
python3 -m http.server --bind 127.0.0.1 --directory "$work" "$port" >/dev/null 2>&1 &
server=$!
for _ in $(seq 50); do
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && break
    sleep 0.1
done

url="http://127.0.0.1:$port/?theme=$theme&prom=${PROM:-http://127.0.0.1:9090}&from=${FROM:-now-24h}&scrape=${SCRAPE:-15}&${VARIABLES:-}"
# One unit of the grid is 30 pixels and a gap of 8; above it stand links and variables.
size=${SIZE:-1600,}
case $size in
    *,) size=$size$(python3 -c '
import json, sys
panels = json.load(open(sys.argv[1]))["panels"]
inner = [panel for row in panels for panel in row.get("panels", [])]
print(130 + 38 * max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels + inner))' "$dashboard") ;;
esac
browser=(timeout 120 chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --user-data-dir="$work/profile"
    --virtual-time-budget=15000 --window-size="$size")
"${browser[@]}" --dump-dom "$url" >"$work/dom.html" 2>"$work/chromium.log"
"${browser[@]}" --screenshot="$out" "$url" 2>>"$work/chromium.log"

# A palette takes a third of the room, which matters for pictures that are kept.
if command -v pngquant >/dev/null; then pngquant --force --skip-if-larger --output "$out" 128 "$out" || [ $? = 98 ]; fi

python3 - "$work/dom.html" "${out%.png}.json" <<'PYTHON'
import json, re, sys
from pathlib import Path

found = re.search(r'<script type="application/json" id="report">(.*?)</script>', Path(sys.argv[1]).read_text(), re.S)
if not found:
    sys.exit("render.sh: the page gave no report; is Prometheus there?")
report = json.loads(found[1])
Path(sys.argv[2]).write_text(json.dumps(report, indent=1) + "\n")
for error in report["errors"]:
    print(f"render.sh: {error}", file=sys.stderr)
sys.exit(1 if report["errors"] else 0)
PYTHON
