#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# modes: none
# servers: s3d
# Who is killed while it waits for a server that does not answer is gone soon, whatever it waits for; what it wrote is
# stored all the same. Who has a handler for a signal is not disturbed by it, or only asked to end. Others are served.
. "$SOURCE_DIR/tests/lib/common.sh"
server_start
random_file "$SCRATCH/r" 6000000
s3 fill 160 known/many/
for name in known/content known/d1/removed known/d2/x late/file; do s3 put "$name" "$SCRATCH/r"; done
mount_fs -o part_size=5M,memory_limit=64M,timeout=600s,metadata_ttl=600s,log_level=debug
ls "$MNT/known" "$MNT/known/many" "$MNT/known/d1" "$MNT/known/d2" >/dev/null
cat >"$SCRATCH/victim.py" <<'P'
import os, signal, sys, threading
# By the signals' defaults, not by the shell's idea of jobs in the background.
for s in (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT):
    signal.signal(s, signal.SIG_DFL)
what, path = sys.argv[1:3]
def looker(n):
    try:
        open(f"{path}/f{n:06}", "rb").read()
    except OSError:
        pass
if what == "noisy":
    seen = []
    signal.signal(signal.SIGUSR1, lambda *_: seen.append(1))
    signal.siginterrupt(signal.SIGUSR1, True)
    size = os.stat(path).st_size
    print(size, "signals" if seen else "no signal")
elif what == "handler":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))
    os.stat(path)
elif what == "many":
    for n in range(160):
        threading.Thread(target=looker, args=(n,)).start()
elif what in ("write", "close", "fsync", "exit"):
    fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
    while what == "write":
        os.write(fd, b"w" * 1000000)
    os.write(fd, what.encode())
    if what == "exit":
        os.kill(os.getpid(), signal.SIGTERM)
    {"close": os.close, "fsync": os.fsync}[what](fd)
elif what == "read":
    open(path, "rb", buffering=0).read(4096)
else:
    {"stat": os.stat, "ls": os.listdir, "mkdir": os.mkdir, "unlink": os.unlink}[what](path)
P
begun() { grep -qE "$1" "$LOG"; }
gone() { [ ! -e "/proc/$1" ] || grep -q "^State:.Z" "/proc/$1/status" 2>/dev/null; }
# start WHAT NAME [LINE]: begins, and waits until the log has a line like that
start() {
    /usr/bin/python3 "$SCRATCH/victim.py" "$1" "$MNT/$2" >"$SCRATCH/$1.out" 2>&1 &
    pid=$!
    poll 60 begun "${3:-"lookup '' '${2%%/*}'"}" || fail "$1: did not begin: $(cat "$SCRATCH/$1.out")"
}
declare -A victims
# kill_later SIGNAL STATUS WHAT NAME [LINE]
kill_later() {
    start "${@:3}"
    victims[$pid]="$1 $2 $3"
}
kill -STOP "$S3D_PID"
kill_later TERM 3 handler away/a
kill_later INT 130 stat away/b
kill_later TERM 143 ls away2/c
kill_later KILL 137 read known/content "read 'known/content'"
kill_later INT 130 close known/close "close 'known/close'"
kill_later KILL 137 fsync known/fsync "fsync 'known/fsync'"
kill_later TERM 143 exit known/exit "close 'known/exit'"
kill_later TERM 143 write known/write "write 'known/write'"
kill_later QUIT 131 unlink known/d1/removed "unlink .*'removed'"
kill_later INT 130 mkdir known/d2/made "mkdir .*'made'"
for pid in "${!victims[@]}"; do
    read -r signal _ what <<<"${victims[$pid]}"
    [ "$what" = exit ] || kill -"$signal" "$pid" || fail "$what: gone too early: $(cat "$SCRATCH/$what.out")"
done
for pid in "${!victims[@]}"; do
    read -r signal status what <<<"${victims[$pid]}"
    poll 60 gone "$pid" || fail "$what: is still there long after SIG$signal"
    wait "$pid" 2>/dev/null
    equal "exit status of $what after SIG$signal" "$status" $?
done
# A directory that is known and pailctl do without the server; others who wait are not in their way.
start many known/many "read 'known/many/f000159'"
check "a listed directory is shown meanwhile" timeout 100 ls "$MNT/known" >"$SCRATCH/ls"
check "pailctl answers meanwhile" timeout 100 "$PAILCTL" status "$MNT" >/dev/null
kill -KILL $pid
poll 60 gone $pid || fail "one of many is still there"
start noisy late/file "lookup '' 'late'"
for _ in 1 2 3; do kill -USR1 $pid; done
kill -CONT "$S3D_PID"
wait $pid || fail "a signal with a handler disturbs: $(cat "$SCRATCH/noisy.out")"
equal "what it saw" "6000000 signals" "$(cat "$SCRATCH/noisy.out")"

check "the mount works" cmp "$SCRATCH/r" "$MNT/known/content"
for name in close fsync exit; do equal "$name" $name "$(cat "$MNT/known/$name")"; done
check "what was being made" test -d "$MNT/known/d2/made"
refuse "what was being removed" test -e "$MNT/known/d1/removed"
unmount_fs
equal "keys" "known/close known/content known/d1/ known/d2/made/ known/d2/x known/exit known/fsync known/write late/file" "$(s3 keys | grep -v many | paste -sd ' ' -)"
s3 get known/write "$SCRATCH/write"
written=$(stat -c %s "$SCRATCH/write")
[ "$written" -gt 0 ] || fail "nothing of what was written is stored"
equal "half writes" 0 $((written % 1000000))
equal "bytes that were not written" 0 "$(tr -d w <"$SCRATCH/write" | wc -c)"
contains "the log" "was killed while it waited" "$(cat "$LOG")"
if grep -w ERROR "$LOG"; then fail "errors in the log"; fi
