#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# modes: user
# uid, gid, umask, modes, ro, prefix, create_bucket, and the aliases people know.
. "$SOURCE_DIR/tests/lib/common.sh"
server_start
s3 put pre/fix/file /etc/passwd
s3 put other /etc/passwd
mount_fs -o uid=1001,gid=1002,file_mode=0640,dir_mode=0751
equal "file" "640 1001:1002" "$(stat -c '%a %u:%g' "$MNT/other")"
equal "directory" "751 1001:1002" "$(stat -c '%a %u:%g' "$MNT/pre")"
unmount_fs
mount_fs -o file_mode=0666,dir_mode=0777
equal "modes are not cut by a umask that was not given" "666 777" "$(stat -c %a "$MNT/other" "$MNT/pre" | paste -sd ' ' -)"
unmount_fs
mount_fs -o umask=027
equal "umask on files" "640" "$(stat -c %a "$MNT/other")"
equal "umask on directories" "750" "$(stat -c %a "$MNT/pre")"
unmount_fs
mount_fs --read-only
refuse "write on a read-only mount" touch "$MNT/new"
contains "errno" "Read-only" "$(cat "$SCRATCH/refuse.out")"
equal "reading works" "$(cat /etc/passwd)" "$(cat "$MNT/other")"
unmount_fs
for source in "$BUCKET:/pre/fix" "$BUCKET:pre/fix/" "s3://$BUCKET/pre/fix/" "s3://$BUCKET/pre/fix" "arn:aws:s3:::$BUCKET/pre/fix"; do
    SOURCE=$source mount_fs
    equal "root of $source" file "$(ls "$MNT")"
    unmount_fs
done
mount_fs --prefix pre/ 
equal "root with --prefix" fix "$(ls "$MNT")"
echo n >"$MNT/new" || fail "write below a prefix"
unmount_fs
equal "key below the prefix" "pre/new" "$(s3 keys pre/n)"
SOURCE=made-$BUCKET mount_fs -o create_bucket
echo x >"$MNT/f"
unmount_fs
equal "the bucket was made" f "$(BUCKET=made-$BUCKET s3 keys)"
# An s3fs line as it stands; an absent name is not believed for longer than one that is there.
mount_fs -o "url=$S3_ENDPOINT,region=us-east-1,use_xattr=1,enable_unsigned_payload,stat_cache_expire=0,dbglevel=info" \
    -o insecure_logging,no_time_stamp_msg,retries=3,max_stat_cache_size=100,update_parent_dir_stat,max_dirty_data=50,bucket_size=1024
refuse "an absent name" test -e "$MNT/comes"
s3 put comes /etc/passwd
check "a name that another program has just made" test -e "$MNT/comes"
unmount_fs
s3 rm comes
# Keys from a file as s3fs has them, and from a profile.
printf '%s:%s\n' "$AWS_ACCESS_KEY_ID" "$AWS_SECRET_ACCESS_KEY" >"$SCRATCH/passwd"
chmod 600 "$SCRATCH/passwd"
mkdir "$HOME/.aws"
printf '[work]\naws_access_key_id = %s\naws_secret_access_key = %s\n' "$AWS_ACCESS_KEY_ID" "$AWS_SECRET_ACCESS_KEY" >"$HOME/.aws/credentials"
(
    unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
    mount_fs -o "passwd_file=$SCRATCH/passwd,url=$S3_ENDPOINT"
    check "passwd_file" test -e "$MNT/other"
    unmount_fs
    mount_fs --profile work --endpoint-url "$S3_ENDPOINT" --force-path-style
    check "profile" test -e "$MNT/other"
    unmount_fs
) || exit 1
