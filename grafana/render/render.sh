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
#   WIDTH=1600                     the picture's width
#   HEIGHT=                        its height; without one as high as the dashboard
# With the picture comes OUT.json: what each panel shows, every query, every error. Exit status 1 if there was one.
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

url="http://127.0.0.1:$port/?theme=$theme&prom=${PROM:-http://127.0.0.1:9090}&from=${FROM:-now-24h}&scrape=${SCRAPE:-15}&${VARIABLES:-}"
node "$here/shot.mjs" "$url" "$out" "${out%.png}.json" "${WIDTH:-1600}" "$work/profile" "${HEIGHT:-}"

# A palette takes a third of the room, which matters for pictures that are kept.
if command -v pngquant >/dev/null; then pngquant --force --skip-if-larger --output "$out" 128 "$out" || [ $? = 98 ]; fi

exec 3<"${out%.png}.json"
python3 - <<'PYTHON'
import json, os, sys

errors = json.load(os.fdopen(3))["errors"]
for error in errors:
    print(f"render.sh: {error}", file=sys.stderr)
sys.exit(1 if errors else 0)
PYTHON
