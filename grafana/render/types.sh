#!/usr/bin/env bash
# Check the dashboards' JSON against Grafana's own TypeScript types: unknown keys, wrong words, missing parts.
#
#   grafana/render/types.sh
#
# Needs node with npm. Exit status 1 if a dashboard is not one.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
cache=$("$here/packages.sh")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

ln -s "$cache/node_modules" "$work/node_modules"
cp "$here/types.ts" "$work/"
files='"types.ts"'
for json in "$here"/../dashboards/*.json; do
    name=$(basename "$json" .json)
    { echo "import type {OurDashboard} from './types';"; echo 'export const dashboard: OurDashboard ='; cat "$json"; } >"$work/$name.ts"
    files="$files, \"$name.ts\""
done
cat >"$work/tsconfig.json" <<JSON
{"compilerOptions": {"strict": true, "noEmit": true, "module": "esnext", "moduleResolution": "bundler", "target": "es2022",
  "skipLibCheck": true, "types": []}, "files": [$files]}
JSON
"$cache/node_modules/.bin/tsc" -p "$work"
