#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# SQLite databases in the mount, in each journal mode: transactions, rollback, two processes at once,
# VACUUM, integrity after a remount.
. "$SOURCE_DIR/tests/lib/common.sh"
. "$SOURCE_DIR/tests/lib/real.sh"
need sqlite3
server_start
mount_fs
rows=1500
for mode in delete truncate persist memory off wal; do
    db=$MNT/$mode.db
    equal "journal_mode $mode" $mode "$(sqlite3 "$db" "PRAGMA journal_mode=$mode")"
    sqlite3 "$db" <<S || fail "$mode: the first transactions"
.timeout 20000
PRAGMA journal_mode=$mode;
CREATE TABLE t(id INTEGER PRIMARY KEY, k TEXT UNIQUE, v BLOB);
BEGIN;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $rows)
    INSERT INTO t SELECT i, printf('key%06d', i), randomblob(400) FROM n;
COMMIT;
UPDATE t SET v = zeroblob(100) WHERE id % 3 = 0;
DELETE FROM t WHERE id % 10 = 0;
S
    [ $mode = off ] || sqlite3 "$db" "BEGIN; DELETE FROM t; ROLLBACK;" || fail "$mode: rollback"
    equal "$mode: rows" $((rows * 9 / 10)) "$(sqlite3 "$db" "SELECT count(*) FROM t")"
    equal "$mode: integrity" ok "$(sqlite3 "$db" "PRAGMA integrity_check")"
done
# Two writers of one database take turns by its locks.
add() {
    local i
    for i in 1 2 3 4 5 6 7 8; do
        sqlite3 -cmd ".timeout 60000" "$MNT/$1.db" "INSERT INTO t(k) VALUES('$2-$i')" || return 1
    done
}
for mode in delete wal; do
    add $mode a &
    one=$!
    add $mode b || fail "$mode: the second writer"
    check "$mode: the first writer" wait $one
    equal "$mode: rows of both" 16 "$(sqlite3 "$MNT/$mode.db" "SELECT count(*) FROM t WHERE k LIKE 'a-%' OR k LIKE 'b-%'")"
done
# More than 20 MiB, that is many parts: pages here and there are rewritten in place, and the file shrinks.
for mode in delete truncate persist wal; do
    sqlite3 "$MNT/$mode.db" <<S || fail "$mode: large"
.timeout 20000
PRAGMA mmap_size=67108864;
PRAGMA cache_size=200;
CREATE TABLE large(id INTEGER PRIMARY KEY, v BLOB);
BEGIN;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 6000)
    INSERT INTO large SELECT i, CAST(printf('%d ', i * 7919) || hex(zeroblob(1800)) AS BLOB) FROM n;
COMMIT;
BEGIN;
UPDATE large SET v = CAST(printf('changed %d', id) || hex(zeroblob(1800)) AS BLOB) WHERE id % 97 = 0;
COMMIT;
BEGIN; UPDATE large SET v = 'not this'; ROLLBACK;
CREATE INDEX large_v ON large(substr(v, 1, 20));
DELETE FROM large WHERE id BETWEEN 2000 AND 2500;
S
    equal "$mode: integrity of the large one" ok "$(sqlite3 "$MNT/$mode.db" "PRAGMA integrity_check")"
    equal "$mode: rows of the large one" "5499 56 0" "$(sqlite3 -separator ' ' "$MNT/$mode.db" \
        "SELECT count(*), sum(CAST(substr(v, 1, 7) AS TEXT) = 'changed'), sum(v = 'not this') FROM large")"
done
[ "$(stat -c %s "$MNT/delete.db")" -gt $((20 << 20)) ] || fail "delete.db has only $(stat -c %s "$MNT/delete.db") bytes"
check "VACUUM" sqlite3 "$MNT/delete.db" VACUUM
check "backup" sqlite3 "$MNT/wal.db" ".backup '$MNT/backup.db'"
want=$(sqlite3 "$MNT/delete.db" "SELECT * FROM t ORDER BY id" | sha256sum)
remount_fs
for mode in delete truncate persist memory off wal backup; do
    equal "$mode: integrity after a remount" ok "$(sqlite3 "$MNT/$mode.db" "PRAGMA integrity_check")"
done
equal "content after a remount" "$want" "$(sqlite3 "$MNT/delete.db" "SELECT * FROM t ORDER BY id" | sha256sum)"
s3 get delete.db "$SCRATCH/copy.db"
equal "content by boto3" "$want" "$(sqlite3 "$SCRATCH/copy.db" "SELECT * FROM t ORDER BY id" | sha256sum)"
finish_fs
