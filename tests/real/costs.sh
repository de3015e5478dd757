#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# servers: s3d
# What common runs of programs cost, in requests: exact where the program's order is. Prints the table. (A file that keeps
# its time is one PUT; tar, cp and rsync set those of directories at their end, which are the PUTs beyond the files.)
. "$SOURCE_DIR/tests/lib/common.sh"
. "$SOURCE_DIR/tests/lib/real.sh"
need rsync git tar
server_start
export GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=t GIT_AUTHOR_EMAIL=t@t GIT_COMMITTER_NAME=t GIT_COMMITTER_EMAIL=t@t
mkdir "$SCRATCH/in" "$SCRATCH/in/sub"
for i in $(seq 1 100); do
    random_file "$SCRATCH/in/f$i" 3000 "$i" && touch -d "2020-01-01 00:00:$((i % 60)).123456789 UTC" "$SCRATCH/in/f$i"
done
chmod 600 "$SCRATCH/in/f7" && chmod 750 "$SCRATCH/in/sub"
mkdir "$SCRATCH/plain" && for i in $(seq 1 100); do cp "$SCRATCH/in/f$i" "$SCRATCH/plain"; done && chmod 644 "$SCRATCH"/plain/*
tar -C "$SCRATCH" -cf "$SCRATCH/in.tar" in
mount_fs -o metadata_ttl=600,hedge=off
ls "$MNT" >/dev/null
cost() { # cost TITLE EXPECTED command...: expected "-" is only printed
    local title=$1 want=$2
    shift 2
    s3d_reset
    check "$title" "$@" >"$SCRATCH/cost.out"
    check "flush" "$PAILCTL" flush "$MNT" >"$SCRATCH/flush.out" # attributes that wait for more of them
    got=$(s3d_requests)
    printf '%-52s %s\n' "$title" "${got:-none}"
    [ "$want" = - ] || equal_requests "$title" "$want"
}
# at_most TITLE HEADS LISTS command...: when a walk is noticed decides whether a directory has a page of its own.
at_most() {
    local title=$1 heads=$2 lists=$3 got rest
    shift 3
    cost "$title" "-" "$@" # and leaves what it has counted in $got
    rest=$(sed -E 's/\b(HeadObject|ListObjectsV2)=[0-9]+ ?//g' <<<"$got")
    equal "other requests of: $title" "" "$rest"
    check "HEADs of: $title ($got)" test "$(grep -oP 'HeadObject=\K\d+' <<<"$got" || echo 0)" -le "$heads"
    check "LISTs of: $title ($got)" test "$(grep -oP 'ListObjectsV2=\K\d+' <<<"$got" || echo 0)" -le "$lists"
}
sh_in() { bash -c "cd '$MNT' && $1"; }
mkdir "$MNT/cp"
cost "cp of 100 small files" "PutObject=100" sh_in "cp '$SCRATCH'/plain/f* cp/"
cost "cp -r of a folder of 100 small files" "PutObject=101" cp -r "$SCRATCH/plain" "$MNT/r"
cost "cp -a of it" "PutObject=106" cp -a "$SCRATCH/in" "$MNT/a"
cost "ls -l of it" "" ls -l "$MNT/a"
mkdir "$MNT/tar" # just now: the marker of an older directory may be looked at before the first attributes
cost "tar -x of it" "PutObject=106" tar -C "$MNT/tar" -xpf "$SCRATCH/in.tar"
cost "rsync -a, the first time" "CopyObject=100 DeleteObject=100 PutObject=105" rsync -a "$SCRATCH/in/" "$MNT/rsync/"
cost "rsync -a, the second time" "" rsync -a "$SCRATCH/in/" "$MNT/rsync/"
cost "rsync -a --inplace of new files" "CopyObject=100 PutObject=105" rsync -a --inplace --whole-file "$SCRATCH/in/" "$MNT/inplace/"
cost "mv of a file" "-" mv "$MNT/cp/f1" "$MNT/cp/g1"
cost "cmd >file" "PutObject=1" sh_in "/bin/echo x >cp/echo"
cost "cmd >>file" "GetObject=1 HeadObject=1 PutObject=1" sh_in "/bin/echo y >>cp/echo"
cost "sed -i" "CopyObject=1 DeleteObject=1 GetObject=1 PutObject=1" sh_in "sed -i s/x/z/ cp/echo"
cost "install -m" "CopyObject=1 PutObject=1" install -m 711 "$SCRATCH/in/f3" "$MNT/cp/installed"
cost "git init and add" "-" sh_in "git init -q r && git -C r add -A"
cost "git commit" "-" git -C "$MNT/r" commit -q -m one
cost "git status" "-" git -C "$MNT/r" status --porcelain
cost "git status again" "-" git -C "$MNT/r" status --porcelain
# On a slow machine what was fetched ahead more than a second ago is fetched again: each file at most once more. And its
# first files, 48 at most, may have been fetched before, by a walk that goes on from the directories of the commands above.
cost "cat of all" "-" sh_in "cat a/f*"
gets=$(s3d_requests) && gets=${gets#GetObject=}
check "requests of: cat of all" test "$gets" -ge 52 -a "$gets" -le 199
cost "rm -r of 100 files" "DeleteObject=103 ListObjectsV2=3" rm -r "$MNT/tar"
remount_fs -o metadata_ttl=600,hedge=off
at_most "after a remount: rsync -a" 102 3 rsync -a "$SCRATCH/in/" "$MNT/rsync/"
cost "after a remount: git status" "-" git -C "$MNT/r" status --porcelain
at_most "after a remount: find" 102 2 find "$MNT/a"
same_manifest "cp -a is whole" "$SCRATCH/in" "$MNT/a"
same_tree "rsync's" "$SCRATCH/in" "$MNT/rsync"
finish_fs
