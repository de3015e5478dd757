#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Form of the sources: clang-format, layers, banned functions, file length, licence lines, scripts,
# spelling. Needs no build and takes seconds.
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
failed=0
# Without this the last command of a pipe is a subshell, and its failed=1 is lost.
shopt -s lastpipe
complain() { # complain TITLE, text on standard input: any text is a failure
    local text
    text=$(cat)
    [ -n "$text" ] || return 0
    printf '%s\n%s\n' "$1" "$text"
    failed=1
}
mapfile -t c_files < <(git ls-files -co --exclude-standard -- '*.c' '*.h')
mapfile -t scripts < <(git ls-files -co --exclude-standard | while read -r f; do
    [ -f "$f" ] && head -c 64 "$f" | head -n 1 | grep -aqE '^#!.*\b(ba)?sh\b|^# shellcheck shell' && echo "$f"
done)
mapfile -t all_files < <(git ls-files -co --exclude-standard | while read -r f; do [ -f "$f" ] && echo "$f"; done)
[ ${#c_files[@]} -gt 0 ] || { echo "no C files found"; exit 1; }

clang-format --dry-run -Werror "${c_files[@]}" 2>&1 | grep -E 'error:|warning:' | sort -u | head -20 |
    complain "clang-format would change these:"
tests/lint/layers.py | complain "layers:"
grep -nE '\b(sprintf|strcpy|strcat|strtok|atoi|atol|gets|localtime|gmtime|strncpy|alloca|tmpnam) *\(' "${c_files[@]}" /dev/null |
    complain "banned functions:"
wc -l "${c_files[@]}" "${scripts[@]}" | awk '$2 != "total" && $1 > 900' | complain "longer than 900 lines:"
grep -L 'SPDX-License-Identifier: Apache-2.0' "${c_files[@]}" "${scripts[@]}" | complain "no licence line:"
grep -nE '(^|[^a-z])/work/|\.\./shared|TODO|FIXME|XXX|HACK' "${all_files[@]}" /dev/null |
    grep -vE '^(tests/lint/sources\.sh|LICENSE):|X-?XXX|\.XXX' | complain "paths from elsewhere or marks of unfinished work:"
shellcheck -x -S warning "${scripts[@]}" | complain "shellcheck:"
codespell -L 'reigon,endpont,parrallel,fo,te,nd,ba,bu,inout,fpr,ot,ro,mis' "${all_files[@]}" | complain "spelling:"
exit $failed
