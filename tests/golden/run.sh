#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The compiler's golden test: the text of what it compiles must be the text in
# compile.txt. --update writes the new text there instead.
here=$(cd "$(dirname "$0")" && pwd)
program=${OTD_BUILDDIR:-$here/../..}/tests/golden/compile
new=$("$program" "$here/compile.txt") || exit 1
if [ "${1:-}" = --update ]; then
    printf '%s\n' "$new" > "$here/compile.txt"
elif printf '%s\n' "$new" | diff -u "$here/compile.txt" -; then
    echo "$(grep -c '^[a-z]' "$here/compile.txt") passed, 0 failed, 0 skipped"
else
    echo "0 passed, 1 failed, 0 skipped"
    exit 1
fi
