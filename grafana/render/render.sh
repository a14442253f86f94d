#!/usr/bin/env bash
# Take a picture of a dashboard as Grafana's own front-end libraries draw it from a running Prometheus.
#
#   grafana/render/render.sh OUT.png [dark|light]
#
# Needs node with npm, chromium, python3. The packages (450 MB) are installed once into a cache. Settings, with their defaults:
#   PROM=http://127.0.0.1:9090     Prometheus, reached from this machine
#   DASHBOARD=replication          which JSON below grafana/dashboards
#   FROM=now-24h                   start of the time range
#   SCRAPE=15                      Prometheus' scrape interval, in seconds
#   SIZE=1600,1850                 the picture's width and height
# Beside the picture lies OUT.json: what each panel shows, every query, every error. Exit status 1 if there was one.
set -euo pipefail

out=$(realpath -m "${1:?usage: render.sh OUT.png [dark|light]}")
theme=${2:-dark}
here=$(cd "$(dirname "$0")" && pwd)
dashboard=$here/../dashboards/${DASHBOARD:-replication}.json

for program in node npm chromium python3; do
    command -v "$program" >/dev/null || { echo "render.sh: $program is not installed" >&2; exit 2; }
done

work=$(mktemp -d)
server=
finish() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    rm -rf "$work"
}
trap finish EXIT

"$here/prepare.sh" "$work"
cp "$dashboard" "$work/dashboard.json"

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
python3 -m http.server --bind 127.0.0.1 --directory "$work" "$port" >/dev/null 2>&1 &
server=$!
for _ in $(seq 50); do
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && break
    sleep 0.1
done

url="http://127.0.0.1:$port/?theme=$theme&prom=${PROM:-http://127.0.0.1:9090}&from=${FROM:-now-24h}&scrape=${SCRAPE:-15}"
browser=(timeout 120 chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --user-data-dir="$work/profile"
    --virtual-time-budget=15000 --window-size="${SIZE:-1600,1850}")
"${browser[@]}" --dump-dom "$url" >"$work/dom.html" 2>"$work/chromium.log"
"${browser[@]}" --screenshot="$out" "$url" 2>>"$work/chromium.log"

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
