# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Sourced first by every shell test: a server, a bucket, a mount, assertions.
#
#   . "$SOURCE_DIR/tests/lib/common.sh"
#   server_start [s3d option...]     sets S3_ENDPOINT, AWS_* and BUCKET (made, unique)
#   mount_fs [pailfs option...]      mounts $BUCKET at $MNT; the log is $LOG
#   unmount_fs                       and waits for the daemon's end
#   kill_daemon                      kill -9, and waits until its files are closed
#   mount_two [OPTIONS]              two hosts' mounts of it: $A and $B
#   fail TEXT / check TEXT command...  / equal TEXT want got / poll SECONDS command...
#
# Run by hand: tests/run.sh NAME, or after a build
#   SOURCE_DIR=$PWD BUILD_DIR=$PWD/build/tests TEST_SERVER=s3d SCRATCH=$(mktemp -d) tests/fs/NAME.sh
set -uo pipefail

: "${SOURCE_DIR:?run this through tests/run.sh}" "${BUILD_DIR:?}" "${SCRATCH:?}"
TEST_SERVER=${TEST_SERVER:-s3d}
PAILFS=$BUILD_DIR/src/pailfs
PAILCTL=$BUILD_DIR/src/pailctl
S3D=$BUILD_DIR/tests/s3d/s3d
MNT=$SCRATCH/mnt
LOG=$SCRATCH/pailfs.log
export AWS_EC2_METADATA_DISABLED=true PYTHONDONTWRITEBYTECODE=1

fail() {
    echo "FAIL: $*" >&2
    exit 1
}
skip() {
    echo "skipped: $*"
    exit 77
}
# check TEXT command...: the command must succeed
check() {
    local text=$1
    shift
    "$@" || fail "$text (command: $*)"
}
# refuse TEXT command...: the command must fail
refuse() {
    local text=$1
    shift
    if "$@" >"$SCRATCH/refuse.out" 2>&1; then fail "$text: succeeded (command: $*)"; fi
}
equal() {
    [ "$2" = "$3" ] || fail "$1: expected '$2', got '$3'"
}
contains() {
    case $3 in *"$2"*) ;; *) fail "$1: '$2' is not in: $3" ;; esac
}
# errno_of command...: the symbolic errno in the last line of an error message of coreutils
poll() { # poll SECONDS command...
    local end=$((SECONDS + $1)) late=
    shift
    until "$@"; do
        # The machine may have stood still meanwhile: one look after the end counts.
        [ -z "$late" ] || return 1
        [ $SECONDS -lt $end ] || late=yes
        read -r -t 0.05 <> <(:) || true
    done
}
s3() { # boto3 as the second opinion: tests/lib/s3.py COMMAND...
    local rc
    # With writeback the bucket follows the mount.
    [[ ${TEST_MOUNT_OPTIONS:-} != *writeback* ]] || ! mountpoint -q "$MNT" || "$PAILCTL" flush "$MNT" >/dev/null
    /usr/bin/python3 "$SOURCE_DIR/tests/lib/s3.py" "$@"
    rc=$?
    [ $rc = 0 ] || echo "s3.py $*: exit status $rc" >&2
    case $1 in put | mb | rm | fill | empty) [ $rc = 0 ] || fail "boto3 could not: $*" ;; esac
    return $rc
}

at_exit() { # at_exit [OTHER MOUNT POINT...]
    local rc=$? m
    trap - EXIT
    for m in "$MNT" "$@"; do
        if mountpoint -q "$m" 2>/dev/null; then umount -l "$m" 2>/dev/null || fusermount3 -uz "$m"; fi
    done
    [ -z "${S3D_PID:-}" ] || kill "$S3D_PID" 2>/dev/null
    exit $rc
}
trap at_exit EXIT

s3d_start() { # s3d_start [option...]: (again) on the same port and folder when they are known
    rm -f "$SCRATCH/s3d.port"
    "$S3D" --dir "$SCRATCH/s3d" --port "${S3D_PORT:-0}" --port-file "$SCRATCH/s3d.port" \
        --access-key "$AWS_ACCESS_KEY_ID" --secret-key "$AWS_SECRET_ACCESS_KEY" "$@" \
        >>"$SCRATCH/s3d.log" 2>&1 &
    S3D_PID=$!
    poll 60 test -s "$SCRATCH/s3d.port" || fail "s3d did not start: $(cat "$SCRATCH/s3d.log")"
    S3D_PORT=$(cat "$SCRATCH/s3d.port")
    export S3_ENDPOINT=http://127.0.0.1:$S3D_PORT
}
s3d_stop() {
    kill "$S3D_PID" && wait "$S3D_PID"
    S3D_PID=
}
server_start() {
    case $TEST_SERVER in
    s3d)
        export AWS_ACCESS_KEY_ID=testaccesskey AWS_SECRET_ACCESS_KEY=testsecretkey
        export AWS_DEFAULT_REGION=us-east-1
        mkdir -p "$SCRATCH/s3d"
        s3d_start "$@"
        ;;
    rgw | rgw20)
        # shellcheck disable=SC1091
        . "$RGW_DIR/env"
        ;;
    *) fail "unknown TEST_SERVER '$TEST_SERVER'" ;;
    esac
    BUCKET=t$(od -An -N8 -tx8 /dev/urandom | tr -d ' ')
    export BUCKET
    s3 mb "$BUCKET" || fail "no bucket on $S3_ENDPOINT"
    mkdir -p "$MNT"
}

# s3d's own interface (TEST_SERVER=s3d only)
s3d_fault() { printf '%s\n' "$@" | curl -sf --data-binary @- "$S3_ENDPOINT/_s3d/faults" >/dev/null || fail "s3d refused the fault: $*"; }
s3d_faults_clear() { curl -sf -X DELETE "$S3_ENDPOINT/_s3d/faults" >/dev/null || fail "s3d: faults not cleared"; }
s3d_reset() {
    curl -sf -X POST "$S3_ENDPOINT/_s3d/reset" >/dev/null || fail "s3d: counters not reset"
    s3d_reset_at=${EPOCHREALTIME/./}
}
# s3d_count OPERATION: requests since the reset
s3d_count() { curl -sf "$S3_ENDPOINT/_s3d/counters" | awk -v op="$1" '$1 == op {print $2; f = 1} END {if (!f) print 0}'; }
# s3d_requests: "Operation=N ..." of all operations since the reset, sorted
s3d_requests() {
    curl -sf "$S3_ENDPOINT/_s3d/counters" |
        awk '$1 ~ /^[A-Z][A-Za-z0-9]+$/ && $2 > 0 {print $1 "=" $2}' | sort | paste -sd ' ' -
}
# equal_requests TITLE WANT: those since the reset are exactly WANT ("Operation=N ..."). Where that was a second ago
# or more they may be more: attributes were not waited for any longer, what was fetched ahead has become too
# old, a request that nobody answered was sent once more. But each of WANT is there, and in all no more than twice as many.
equal_requests() {
    local got took=$(((${EPOCHREALTIME/./} - s3d_reset_at) / 1000))
    got=$(s3d_requests)
    [ "$2" != "$got" ] || return 0
    [ $took -ge 900 ] || fail "requests of: $1: expected '$2', got '$got' in $took ms"
    awk -v want="$2" -v got="$got" 'BEGIN {
        for (n = split(got, a, "[ =]"); n > 0; n -= 2) { has[a[n - 1]] = a[n]; sum += a[n] }
        for (n = split(want, a, "[ =]"); n > 0; n -= 2) { bad += has[a[n - 1]] < a[n]; most += 2 * a[n] }
        exit bad || sum > most + 2
    }' || fail "requests of: $1: expected '$2', got '$got' in $took ms"
    echo "requests of: $1: '$got' and not '$2', in $took ms"
}

# The options that every test mount needs; a test adds its own, the runner those of the group
# ($TEST_MOUNT_OPTIONS: posix=on and the like, see MODES in lib/runner.py).
pailfs_options() {
    printf '%s' "endpoint_url=$S3_ENDPOINT,use_path_request_style,log_file=$LOG${TEST_MOUNT_OPTIONS:+,$TEST_MOUNT_OPTIONS}"
}
mount_fs() {
    "$PAILFS" "${SOURCE:-$BUCKET}" "$MNT" -o "$(pailfs_options)" "$@" >"$SCRATCH/mount.out" 2>&1 ||
        fail "mount: exit status $?: $(cat "$SCRATCH/mount.out" "$LOG" 2>/dev/null)"
    mountpoint -q "$MNT" || fail "mount said success, but nothing is mounted"
}
daemon_pids() { # of this mount point
    local p
    for p in $(pgrep -x pailfs); do
        if tr '\0' '\n' 2>/dev/null <"/proc/$p/cmdline" | grep -qxF "${1:-$MNT}"; then echo "$p"; fi
    done 2>/dev/null
}
# has_ended PID: with all its threads, and its files are closed. Until then they are locked, although the
# signal was long ago and the command line is empty; a zombie that nobody waits for has ended.
has_ended() {
    local stat
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 0
    case ${stat##*) } in
    [ZX]*) [ "$(find "/proc/$1/task" -mindepth 1 -maxdepth 1 2>/dev/null | wc -l)" -le 1 ] ;;
    *) return 1 ;;
    esac
}
no_daemon() { # of this mount point, nor one that is about to end: whose that was cannot be told any more
    local p
    [ -z "$(daemon_pids "${1:-}")" ] || return 1
    for p in $(pgrep -x pailfs); do
        [ -n "$(tr -d '\0' 2>/dev/null <"/proc/$p/cmdline")" ] || has_ended "$p" || return 1
    done 2>/dev/null
}
kill_daemon() { # kill_daemon [MOUNTPOINT]: kill -9, and back when it has closed its files
    local p pids
    pids=$(daemon_pids "${1:-}")
    [ -n "$pids" ] || fail "no daemon to be killed"
    for p in $pids; do
        kill -9 "$p" || fail "the daemon $p was gone before it was killed"
    done
    for p in $pids; do
        poll 60 has_ended "$p" || fail "the daemon $p was killed and does not end"
    done
}
try_unmount() { # one that somebody looks at just now is busy for a moment
    unmount_said=$(fusermount3 -u "$1" 2>&1) && return 0
    case $unmount_said in *busy*) return 1 ;; *) fail "fusermount3 -u $1: $unmount_said" ;; esac
}
unmount_fs() {
    local mnt=${1:-$MNT}
    poll 20 try_unmount "$mnt" || fail "fusermount3 -u $mnt: $unmount_said"
    poll 60 no_daemon "$mnt" || fail "the daemon of $mnt did not end after the unmount"
}
# mount_two OPTIONS: two hosts, A and B, on $BUCKET; @ stands for each one's path. Logs: $A.log, $B.log.
mount_two() {
    local m
    A=$SCRATCH/a B=$SCRATCH/b
    mkdir "$A" "$B"
    trap 'at_exit "$A" "$B"' EXIT
    for m in "$A" "$B"; do
        LOG=$m.log
        "$PAILFS" "$BUCKET" "$m" -o "$(pailfs_options)${1:+,${1//@/$m}}" || fail "mount $m"
    done
}
remount_fs() {
    unmount_fs
    mount_fs "$@"
}
sha() { sha256sum <"$1" | cut -d' ' -f1; }
# random_file PATH BYTES [SEED]: reproducible, not compressible
random_file() {
    openssl enc -aes-128-ctr -pass "pass:${3:-7}" -nosalt -pbkdf2 </dev/zero 2>/dev/null | head -c "$2" >"$1"
}
