#!/bin/sh
# Updates the two lock files from pyproject.toml. They name no registry: the machine's own pip settings choose it.
set -eu
cd "$(dirname "$0")/.."
uv=${UV:-.venv/bin/uv}
compile="$uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --custom-compile-command requirements/lock.sh"
$compile -o requirements/runtime.txt "$@"
$compile --group dev -o requirements/dev.txt "$@"
