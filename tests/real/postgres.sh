#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# servers: s3d
# pg_basebackup writes base backups into the mount, plain and as tar files, WAL files are archived there with cp,
# and pg_dump's directory format; a server restored from them has the same rows.
. "$SOURCE_DIR/tests/lib/common.sh"
. "$SOURCE_DIR/tests/lib/real.sh"
bin=$(find /usr/lib/postgresql -name bin -type d 2>/dev/null | sort -V | tail -n 1)
[ -n "$bin" ] || skip "postgresql is not installed"
server_start
pg=$SCRATCH/pg
mkdir "$pg"
as_postgres=()
if [ "$(id -u)" = 0 ]; then # its server refuses to run as root, and the scratch folder is root's
    chown postgres "$pg"
    as_postgres=(setpriv --reuid postgres --regid postgres --clear-groups --inh-caps +dac_override
        --ambient-caps +dac_override env "HOME=$pg")
fi
export PGHOST=$pg PGUSER=owner PGDATABASE=postgres
start() { # start DATA
    "${as_postgres[@]}" "$bin/pg_ctl" -D "$1" -l "$pg/server.out" -t 60 -w -s start \
        -o "-k '$pg' -c listen_addresses='' -c fsync=off" || fail "server: $(tail -n 20 "$pg/server.out")"
    server=$1
}
stop() { "${as_postgres[@]}" "$bin/pg_ctl" -D "$server" -m fast -t 60 -w -s stop || fail "server does not stop"; }
rows() { "$bin/psql" -XAtqc "SELECT count(*), md5(string_agg(m, '' ORDER BY i)) FROM t"; }
check "initdb" "${as_postgres[@]}" "$bin/initdb" -D "$pg/data" -A trust -U owner --no-sync >/dev/null
start "$pg/data"
check "a table" "$bin/psql" -Xqc "CREATE TABLE t AS SELECT i, md5(i::text) m FROM generate_series(1, 60000) i"
want=$(rows)

mount_fs
check "pg_basebackup" "$bin/pg_basebackup" -D "$MNT/plain" -X fetch -c fast
check "pg_basebackup as tar" "$bin/pg_basebackup" -D "$MNT/tar" -F tar -z -X fetch -c fast
check "pg_basebackup with streamed WAL" "$bin/pg_basebackup" -D "$MNT/stream" -X stream -c fast
check "pg_basebackup as tar with streamed WAL" "$bin/pg_basebackup" -D "$MNT/tarstream" -F tar -X stream -c fast
mkdir "$MNT/received"
"$bin/pg_receivewal" -D "$MNT/received" --synchronous --no-loop >"$SCRATCH/receivewal.out" 2>&1 &
receiver=$!
received() { [ -n "$(find "$MNT/received" -name '*.partial')" ]; }
poll 60 received || fail "pg_receivewal: $(cat "$SCRATCH/receivewal.out")"
check "rows while WAL is received" "$bin/psql" -Xqc "CREATE TABLE u AS SELECT i, md5(i::text) m FROM generate_series(1, 150000) i"
check "another segment" "$bin/psql" -Xqc "SELECT pg_switch_wal()" >/dev/null
check "and its first rows" "$bin/psql" -Xqc "DROP TABLE u"
segment=$("$bin/psql" -XAtqc "SELECT pg_walfile_name(pg_switch_wal())")
whole() { [ -e "$MNT/received/$segment" ]; }
poll 60 whole || fail "pg_receivewal has not $segment: $(ls "$MNT/received"; cat "$SCRATCH/receivewal.out")"
kill -INT $receiver && wait $receiver || fail "pg_receivewal: $(cat "$SCRATCH/receivewal.out")"
cp "$pg/data/pg_wal/$segment" "$SCRATCH/segment"
check "pg_dump, custom format" "$bin/pg_dump" -F c -f "$MNT/dump.custom"
check "pg_dump into a directory" "$bin/pg_dump" -F d -j 2 -f "$MNT/dump"
check "pg_dump as text" "$bin/pg_dump" -f "$MNT/dump.sql"
mkdir "$MNT/wal"
stop
check "WAL files are archived" find "$pg/data/pg_wal" -maxdepth 1 -type f -exec cp -p {} "$MNT/wal" \;
remount_fs
check "archived WAL" diff -r -x archive_status "$pg/data/pg_wal" "$MNT/wal"
check "pg_verifybackup" "$bin/pg_verifybackup" -q "$MNT/plain"
check "pg_verifybackup of the streamed one" "$bin/pg_verifybackup" -q "$MNT/stream"
check "a received segment" cmp "$SCRATCH/segment" "$MNT/received/$segment"
check "pg_waldump of it" "$bin/pg_waldump" -q -p "$MNT/received" "$segment"
mkdir "$pg/fromtar" "$pg/fromtarstream"
check "restore the streamed tar file" tar -C "$pg/fromtarstream" -xf "$MNT/tarstream/base.tar"
check "its WAL" tar -C "$pg/fromtarstream/pg_wal" -xf "$MNT/tarstream/pg_wal.tar"
check "restore the tar file" tar -C "$pg/fromtar" -xzf "$MNT/tar/base.tar.gz"
cp -r "$MNT/plain" "$pg/fromplain" || fail "restore the plain one"
cp -r "$MNT/stream" "$pg/fromstream" || fail "restore the streamed one"
copies="fromtar fromplain fromstream fromtarstream"
for data in $copies; do
    chmod 700 "$pg/$data"
    [ "$(id -u)" != 0 ] || chown -R postgres "$pg/$data"
done
for data in $copies; do
    start "$pg/$data"
    equal "rows of $data" "$want" "$(rows)"
    stop
done
start "$pg/data"
check "drop" "$bin/psql" -Xqc "DROP TABLE t"
check "pg_restore" "$bin/pg_restore" -d postgres "$MNT/dump"
equal "rows of pg_restore" "$want" "$(rows)"
check "drop" "$bin/psql" -Xqc "DROP TABLE t"
check "pg_restore of the custom format" "$bin/pg_restore" -d postgres "$MNT/dump.custom"
equal "rows of the custom format" "$want" "$(rows)"
check "drop" "$bin/psql" -Xqc "DROP TABLE t"
check "psql" "$bin/psql" -Xqf "$MNT/dump.sql" >/dev/null
equal "rows of dump.sql" "$want" "$(rows)"
stop
finish_fs
