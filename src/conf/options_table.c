/* SPDX-License-Identifier: Apache-2.0 */
/* Every option there is. Adding one: a row here, a field in conf.h, and its use; --help, the
 * messages, PAILFS_<NAME> and the tests follow from the row. */
#include "conf/options_table.h"

#include <string.h>

#include "base/attr.h"

const char *const conf_group_titles[CONF_GROUP_MAX] = {
    [CONF_GROUP_SOURCE] = "Source",
    [CONF_GROUP_S3] = "S3 and credentials",
    [CONF_GROUP_ACCESS] = "Owners and permissions",
    [CONF_GROUP_CACHE] = "Caches and memory",
    [CONF_GROUP_TRANSFER] = "Transfers",
    [CONF_GROUP_PROCESS] = "Process and log",
    [CONF_GROUP_MOUNT] = "Words of mount(8) and FUSE",
    [CONF_GROUP_PEERS] = "Words of other programs",
};

static const struct conf_word VERIFY_WORDS[] = {
    {"auto", CONF_VERIFY_AUTO}, {"on", CONF_VERIFY_ON}, {"off", CONF_VERIFY_OFF}, {NULL, 0}};
static const struct conf_word CHECKSUM_WORDS[] = {
    {"auto", CONF_CHECKSUM_AUTO},     {"crc64nvme", CONF_CHECKSUM_CRC64NVME},
    {"crc32c", CONF_CHECKSUM_CRC32C}, {"none", CONF_CHECKSUM_NONE},
    {"off", CONF_CHECKSUM_NONE},      {NULL, 0},
};

static const struct conf_word POSIX_WORDS[] = {
    {"auto", CONF_POSIX_AUTO}, {"on", CONF_POSIX_ON},  {"off", CONF_POSIX_OFF},
    {"yes", CONF_POSIX_ON},    {"no", CONF_POSIX_OFF}, {NULL, 0},
};
static const struct conf_word FSYNC_WORDS[] = {
    {"remote", CONF_FSYNC_REMOTE}, {"local", CONF_FSYNC_LOCAL}, {NULL, 0}};

static const struct conf_word EXCL_WORDS[] = {
    {"auto", CONF_EXCL_AUTO},
    {"open", CONF_EXCL_OPEN},
    {"local", CONF_EXCL_LOCAL},
    {NULL, 0},
};

/* crit, err and dbg are s3fs' words for dbglevel. */
static const struct conf_word LOG_WORDS[] = {
    {"error", LOG_LEVEL_ERROR}, {"warn", LOG_LEVEL_WARN},
    {"info", LOG_LEVEL_INFO},   {"debug", LOG_LEVEL_DEBUG},
    {"crit", LOG_LEVEL_ERROR},  {"critical", LOG_LEVEL_ERROR},
    {"err", LOG_LEVEL_ERROR},   {"warning", LOG_LEVEL_WARN},
    {"dbg", LOG_LEVEL_DEBUG},   {NULL, 0},
};

/* s3fs' endpoint is a region, goofys' and rclone's a URL. */
static const char *pick_endpoint(const char *value)
{
    return strstr(value, "://") || strchr(value, ':') || strchr(value, '.') ? "endpoint_url"
                                                                            : "region";
}

#define SECOND        ((uint64_t)NS_PER_S)
#define YEAR          (365 * 86400 * SECOND)
#define FIELD(member) .offset = offsetof(struct conf_options, member)
#define MODE_MAX      07777
#define ID_MAX        4294967294u /* (uid_t)-1 means "unchanged" to chown(2) */
#define SOURCE        .group = CONF_GROUP_SOURCE
#define S3            .group = CONF_GROUP_S3
#define ACCESS        .group = CONF_GROUP_ACCESS
#define CACHE         .group = CONF_GROUP_CACHE
#define TRANSFER      .group = CONF_GROUP_TRANSFER
#define PROCESS       .group = CONF_GROUP_PROCESS
#define KERNEL(word)                                                                               \
    {                                                                                              \
        .name = word, .type = CONF_KERNEL, .group = CONF_GROUP_MOUNT,                              \
        .help = "passed on to the kernel"                                                          \
    }
#define KERNEL_VALUE(word)                                                                         \
    {                                                                                              \
        .name = word, .type = CONF_KERNEL, .group = CONF_GROUP_MOUNT, .arg = "VALUE",              \
        .help = "passed on to the kernel"                                                          \
    }
#define MOUNT_WORD(word)                                                                           \
    {                                                                                              \
        .name = word, .type = CONF_IGNORED, .group = CONF_GROUP_MOUNT,                             \
        .help = "meant for mount(8) or systemd; accepted"                                          \
    }
#define NO_EFFECT(word, other_names, why)                                                          \
    {                                                                                              \
        .name = word, .aliases = other_names, .type = CONF_IGNORED, .group = CONF_GROUP_PEERS,     \
        .note = why, .help = "accepted without effect"                                             \
    }
#define REFUSED(word, other_names, remedy)                                                         \
    {                                                                                              \
        .name = word, .aliases = other_names, .type = CONF_UNSUPPORTED, .group = CONF_GROUP_PEERS, \
        .note = remedy, .help = "refused"                                                          \
    }

/* clang-format off */
const struct conf_row conf_rows[] = {
    /* ---- what is mounted ---- */
    {.name = "bucket", .type = CONF_STRING, SOURCE, FIELD(bucket), .arg = "NAME", .min = 1, .max = 255,
     .help = "the bucket, in place of the first argument"},
    {.name = "prefix", .aliases = "only_dir", .type = CONF_STRING, SOURCE, FIELD(prefix),
     .arg = "KEY-PREFIX", .min = 0, .max = 1000,
     .help = "mount only the keys below this prefix"},

    /* ---- the way to S3 ---- */
    {.name = "region", .aliases = "aws_region", .type = CONF_STRING, S3, FIELD(region), .arg = "REGION",
     .min = 1, .max = 31,
     .help = "the bucket's region, e.g. eu-west-1; otherwise the environment and ~/.aws/config"},
    {.name = "endpoint_url", .aliases = "url host", .type = CONF_STRING, S3, FIELD(endpoint_url),
     .arg = "URL", .min = 1, .max = 1024,
     .help = "an S3 server other than AWS, e.g. https://s3.example.org:9000"},
    {.name = "endpoint", .type = CONF_PRESET, S3, .pick = pick_endpoint, .arg = "REGION-OR-URL",
     .help = "endpoint_url when it is a URL, otherwise region"},
    {.name = "path_style", .aliases = "use_path_request_style force_path_style", .type = CONF_BOOL, S3,
     FIELD(path_style),
     .help = "the bucket stands in the URL's path, not in the host name; the rule for servers other than AWS"},
    {.name = "subdomain", .type = CONF_PRESET, S3, .value = "path_style=no",
     .help = "same as path_style=no"},
    {.name = "profile", .aliases = "aws_profile", .type = CONF_STRING, S3, FIELD(profile), .arg = "NAME",
     .min = 1, .max = 255,
     .help = "the profile in ~/.aws/credentials and ~/.aws/config"},
    {.name = "passwd_file", .type = CONF_PATH, S3, FIELD(passwd_file),
     .help = "a file with KEY:SECRET or BUCKET:KEY:SECRET lines, readable by its owner only"},
    {.name = "no_sign_request", .aliases = "public_bucket no_sign anonymous", .type = CONF_BOOL, S3,
     FIELD(no_sign_request),
     .help = "send no credentials; for public buckets"},
    {.name = "ca_bundle", .aliases = "ca_file cacert", .type = CONF_PATH, S3, FIELD(ca_bundle),
     .help = "certificates of the authorities to trust, PEM; otherwise the system's"},
    {.name = "no_verify_ssl", .aliases = "no_check_certificate", .type = CONF_BOOL, S3,
     FIELD(no_verify_ssl),
     .help = "accept any TLS certificate; anybody on the way can then read and change the data"},
    {.name = "sign_payload", .type = CONF_BOOL, S3, FIELD(sign_payload),
     .help = "sign bodies also over TLS and on the loopback (costs a SHA-256 of each)"},
    {.name = "checksum", .aliases = "upload_checksums", .type = CONF_ENUM, S3, FIELD(checksum),
     .value = "auto", .words = CHECKSUM_WORDS,
     .help = "the checksum sent with uploads; auto takes what the server understands"},
    {.name = "verify", .type = CONF_ENUM, S3, FIELD(verify), .value = "auto", .words = VERIFY_WORDS,
     .help = "hold what is read in ranges against the stored checksum; auto from 16 MiB on, unless "
             "the server is on this machine"},
    {.name = "storage_class", .type = CONF_STRING, S3, FIELD(storage_class), .arg = "CLASS", .min = 1,
     .max = 63, .upper = true,
     .help = "of new objects, e.g. STANDARD_IA"},
    {.name = "create_bucket", .type = CONF_BOOL, S3, FIELD(create_bucket),
     .help = "make the bucket when it is not there, and wait for it"},

    /* ---- owners and permissions ---- */
    {.name = "uid", .type = CONF_UID, ACCESS, FIELD(uid), .max = ID_MAX,
     .help = "owner of what carries none; default: who mounts"},
    {.name = "gid", .type = CONF_GID, ACCESS, FIELD(gid), .max = ID_MAX,
     .help = "group of what carries none; default: who mounts"},
    {.name = "umask", .type = CONF_MODE, ACCESS, FIELD(umask), .value = "022", .max = 0777,
     .help = "given, it makes file_mode 0666 and dir_mode 0777 without these bits"},
    {.name = "file_mode", .aliases = "file_perms", .type = CONF_MODE, ACCESS, FIELD(file_mode),
     .value = "0644", .max = MODE_MAX,
     .help = "permissions of files that carry none"},
    {.name = "dir_mode", .aliases = "dir_perms", .type = CONF_MODE, ACCESS, FIELD(dir_mode),
     .value = "0755", .max = MODE_MAX,
     .help = "permissions of directories that carry none"},
    {.name = "allow_other", .type = CONF_BOOL, ACCESS, FIELD(allow_other),
     .help = "let other users in; needs user_allow_other in /etc/fuse.conf unless root mounts"},
    {.name = "allow_root", .type = CONF_BOOL, ACCESS, FIELD(allow_root),
     .help = "let root in, but no other users"},
    {.name = "read_only", .aliases = "ro", .type = CONF_BOOL, ACCESS, FIELD(read_only),
     .help = "nothing is changed through this mount"},
    {.name = "rw", .aliases = "read_write", .type = CONF_PRESET, ACCESS, .value = "read_only=no",
     .help = "same as read_only=no"},
    {.name = "posix", .type = CONF_ENUM, ACCESS, FIELD(posix), .value = "auto", .words = POSIX_WORDS,
     .help = "owner, mode and times kept in object metadata: auto reads them where they were stored, "
             "on asks for each object, off goes by the listing alone"},
    {.name = "excl", .type = CONF_ENUM, ACCESS, FIELD(excl), .value = "auto", .words = EXCL_WORDS,
     .help = "O_EXCL between hosts is decided at open: auto for names that look like locks, open for "
             "all; local never asks the server"},
    {.name = "excl_names", .type = CONF_STRING, ACCESS, FIELD(excl_names), .value = "*.lock:*.lck:lock*:*.pid",
     .max = 1024, .arg = "PATTERN:...", .help = "names that look like locks"},

    /* ---- caches ---- */
    {.name = "metadata_ttl",
     .aliases = "stat_cache_expire stat_cache_interval_expire stat_cache_ttl type_cache_ttl dir_cache_time "
                "attr_timeout entry_timeout",
     .type = CONF_DURATION, CACHE, FIELD(metadata_ttl), .value = "60s", .max = YEAR, .ttl_words = true,
     .help = "how long attributes and listings are believed without asking again"},
    {.name = "negative_ttl", .aliases = "negative_metadata_ttl negative_timeout", .type = CONF_DURATION,
     CACHE, FIELD(negative_ttl), .value = "5s", .max = YEAR, .ttl_words = true,
     .help = "how long a name that was not there is believed to be absent; metadata_ttl at most"},
    {.name = "remember_own", .type = CONF_DURATION, CACHE, FIELD(remember_own), .value = "10s", .max = YEAR,
     .help = "after so long without a request attributes of files changed here are read back, so that the "
             "next mount knows them; 0 = never"},
    {.name = "disable_negative_cache", .aliases = "disable_noobj_cache", .type = CONF_PRESET, CACHE, .value = "negative_ttl=0",
     .help = "same as negative_ttl=0"},
    {.name = "cache_dir", .aliases = "use_cache cache", .type = CONF_PATH, CACHE, FIELD(cache_dir),
     .help = "local state; default $XDG_CACHE_HOME/pailfs, for root /var/cache/pailfs"},
    {.name = "state_dir", .type = CONF_PATH, CACHE, FIELD(state_dir),
     .help = "the folder for local state of this mount and no other; default one below cache_dir"},
    {.name = "cache_size", .aliases = "max_cache_size vfs_cache_max_size", .type = CONF_SIZE, CACHE,
     FIELD(cache_size), .value = "0", .unit = MIB, .max = 1024 * TIB,
     .help = "file content that was read is kept on the local disk, below cache_dir, up to this size; 0 keeps none"},
    {.name = "memory_limit", .aliases = "memory_target max_memory_target", .type = CONF_SIZE, CACHE,
     FIELD(memory_limit), .value = "512M", .unit = MIB, .min = 64 * MIB, .max = TIB,
     .help = "buffers of all open files together"},
    {.name = "dirty_limit", .type = CONF_SIZE, CACHE, FIELD(dirty_limit), .value = "0", .unit = MIB,
     .max = 1024 * TIB,
     .help = "local disk for changes in the middle of large files until they are in S3; 0 is what the disk "
             "has, less a twentieth or 1 GiB"},

    /* ---- write-back ---- */
    {.name = "writeback", .type = CONF_BOOL, CACHE, FIELD(writeback), .value = "no",
     .help = "changes are acknowledged once they are on the local disk, and stored afterwards, in order"},
    {.name = "fsync", .type = CONF_ENUM, CACHE, FIELD(fsync), .value = "remote", .words = FSYNC_WORDS,
     .help = "with writeback, what fsync waits for: remote is S3, local is the local disk"},
    {.name = "writeback_limit", .type = CONF_SIZE, CACHE, FIELD(writeback_limit), .value = "1G",
     .unit = MIB, .min = 16 * MIB, .max = 1024 * TIB,
     .help = "content on the local disk that is not stored yet; beyond it, changes wait for room"},
    {.name = "writeback_max_age", .type = CONF_DURATION, CACHE, FIELD(writeback_max_age), .value = "1d",
     .max = YEAR,
     .help = "changes wait while one is not stored for longer than that; 0 is no limit"},

    /* ---- transfers ---- */
    {.name = "part_size", .aliases = "multipart_size", .type = CONF_SIZE, TRANSFER, FIELD(part_size),
     .value = "8M", .unit = MIB, .min = 5 * MIB, .max = 5 * GIB,
     .help = "bytes of one request of a large file"},
    {.name = "read_part_size", .type = CONF_SIZE, TRANSFER, FIELD(read_part_size), .unit = 1,
     .value = "8M", .min = 256 * KIB, .max = 5 * GIB,
     .help = "the same for reading only; default part_size"},
    {.name = "write_part_size", .type = CONF_SIZE, TRANSFER, FIELD(write_part_size), .unit = 1,
     .value = "8M", .min = 5 * MIB, .max = 5 * GIB,
     .help = "the first parts of an upload, later ones grow; default part_size"},
    {.name = "parallel", .aliases = "parallel_count", .type = CONF_UINT, TRANSFER, FIELD(parallel),
     .value = "8", .min = 1, .max = 1024,
     .help = "requests under way for one open file; up to four times as many for reading, where that is faster"},
    {.name = "max_connections", .aliases = "max_thread_count multireq_max", .type = CONF_UINT, TRANSFER,
     FIELD(max_connections), .value = "64", .min = 1, .max = 4096,
     .help = "connections of the whole mount"},
    {.name = "io_threads", .type = CONF_UINT, TRANSFER, FIELD(io_threads), .value = "2", .min = 1,
     .max = 64,
     .help = "threads that move bytes between S3 and memory"},
    {.name = "max_threads", .aliases = "threads", .type = CONF_UINT, TRANSFER, FIELD(max_threads),
     .value = "256", .min = 1, .max = 1024,
     .help = "file operations that may wait at the same time"},
    {.name = "single_threaded", .letter = 's', .type = CONF_PRESET, TRANSFER, .value = "max_threads=1",
     .help = "same as max_threads=1"},
    {.name = "max_read", .type = CONF_UINT, TRANSFER, FIELD(max_read), .value = "0", .max = 1u << 30,
     .arg = "BYTES",
     .help = "the largest read request of the kernel; 0 leaves it to the kernel"},
    {.name = "retries", .aliases = "max_retries", .type = CONF_UINT, TRANSFER, FIELD(retries),
     .value = "4", .max = 100,
     .help = "how often a failed request is sent again"},
    {.name = "connect_timeout", .type = CONF_DURATION, TRANSFER, FIELD(connect_timeout), .value = "5s",
     .min = SECOND / 10, .max = 3600 * SECOND,
     .help = "to find the server and agree on TLS"},
    {.name = "timeout", .aliases = "readwrite_timeout http_timeout", .type = CONF_DURATION, TRANSFER,
     FIELD(timeout), .value = "30s", .min = SECOND, .max = 3600 * SECOND,
     .help = "of a request on which no byte moves"},
    {.name = "hedge", .type = CONF_BOOL, TRANSFER, FIELD(hedge), .value = "yes",
     .help = "send a read or a part that hangs once more long before its timeout, and take what comes first"},

    /* ---- the process ---- */
    {.name = "foreground", .letter = 'f', .type = CONF_BOOL, PROCESS, FIELD(foreground),
     .help = "stay in the foreground, log to standard error"},
    {.name = "nonempty", .type = CONF_BOOL, PROCESS, FIELD(nonempty),
     .help = "mount also where a pailfs mount is already; over files it always does"},
    {.name = "debug", .letter = 'd', .type = CONF_PRESET, PROCESS, .value = "foreground,log_level=debug",
     .help = "same as foreground,log_level=debug"},
    {.name = "log_level", .aliases = "dbglevel loglevel", .type = CONF_ENUM, PROCESS, FIELD(log_level),
     .value = "info", .words = LOG_WORDS,
     .help = "what is worth a line"},
    {.name = "log_file", .aliases = "logfile", .type = CONF_PATH, PROCESS, FIELD(log_file),
     .help = "log to this file in place of syslog"},

    /* ---- mount(8) and libfuse ---- */
    KERNEL("suid"), KERNEL("nosuid"), KERNEL("dev"), KERNEL("nodev"), KERNEL("exec"), KERNEL("noexec"),
    KERNEL("async"), KERNEL("sync"), KERNEL("dirsync"), KERNEL("atime"), KERNEL("noatime"),
    KERNEL("default_permissions"), KERNEL("auto_unmount"),
    KERNEL_VALUE("fsname"), KERNEL_VALUE("subtype"),
    KERNEL_VALUE("context"), KERNEL_VALUE("fscontext"), KERNEL_VALUE("defcontext"),
    KERNEL_VALUE("rootcontext"),
    MOUNT_WORD("defaults"), MOUNT_WORD("auto"), MOUNT_WORD("noauto"), MOUNT_WORD("user"),
    MOUNT_WORD("users"), MOUNT_WORD("nouser"), MOUNT_WORD("owner"), MOUNT_WORD("group"),
    MOUNT_WORD("_netdev"), MOUNT_WORD("nofail"), MOUNT_WORD("relatime"), MOUNT_WORD("norelatime"),
    MOUNT_WORD("strictatime"), MOUNT_WORD("nostrictatime"), MOUNT_WORD("lazytime"),
    MOUNT_WORD("nolazytime"), MOUNT_WORD("diratime"),
    MOUNT_WORD("nodiratime"), MOUNT_WORD("symfollow"), MOUNT_WORD("mand"), MOUNT_WORD("nomand"),
    MOUNT_WORD("comment"), MOUNT_WORD("x-*"), MOUNT_WORD("X-*"), MOUNT_WORD("uhelper"),
    MOUNT_WORD("helper"),

    /* ---- other programs ---- */
    NO_EFFECT("big_writes", "large_read", "large requests are the rule with FUSE 3"),
    NO_EFFECT("kernel_cache", "auto_cache", "the page cache is kept while an object's ETag is the same"),
    NO_EFFECT("hard_remove", "use_ino readdir_ino", "inode numbers and open deleted files need no option"),
    NO_EFFECT("sigv4", NULL, "requests are always signed with version 4"),
    NO_EFFECT("enable_unsigned_payload", NULL, "the default over TLS; sign_payload turns it off"),
    NO_EFFECT("listobjectsv2", "list_type", "listings always use ListObjectsV2"),
    NO_EFFECT("compat_dir", "implicit_dirs",
              "directories are seen with and without marker objects"),
    NO_EFFECT("streamupload", "incremental_upload", "uploads always begin while the file is written"),
    NO_EFFECT("allow_delete", "allow_overwrite", "allowed unless the mount is read_only"),
    NO_EFFECT("complement_stat", NULL, "directories always show usable permissions"),
    NO_EFFECT("enable_noobj_cache", NULL, "absent names are remembered for negative_ttl"),
    NO_EFFECT("max_stat_cache_size", "stat_cache_size entry_limit",
              "memory of the metadata cache is not counted in entries"),
    NO_EFFECT("maximum_throughput_gbps", NULL, "the number of requests follows parallel and max_connections"),
    NO_EFFECT("infer_content_type", "use_content_type", "content types are always made from names"),
    NO_EFFECT("use_xattr", NULL, "extended attributes need no option"),
    NO_EFFECT("update_parent_dir_stat", NULL, "times of directories always follow what is made in them"),
    NO_EFFECT("max_dirty_data", NULL, "uploads always begin while the file is written"),
    NO_EFFECT("singlepart_copy_limit", "multipart_copy_size", "copies are as large as the server takes them"),
    NO_EFFECT("enable_content_md5", NULL, "content always goes with a checksum"),
    NO_EFFECT("use_wtf8", NULL, "every key has a name, see pailfs(7)"),
    NO_EFFECT("bucket_size", "fake_diskfree", "df shows a petabyte"),
    NO_EFFECT("insecure_logging", "no_time_stamp_msg", "the log never has secrets and always the time"),
    NO_EFFECT("del_cache", NULL, "cached content is checked when it is read; a mount without cache_size deletes it"),

    {.name = "access_key_id", .aliases = "aws_access_key_id access_key", .type = CONF_UNSUPPORTED,
     .group = CONF_GROUP_PEERS, .secret = true, .help = "refused",
     .note = "keys on a command line can be read by every user of the machine; use the environment "
             "(AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY), ~/.aws/credentials or passwd_file"},
    {.name = "secret_access_key", .aliases = "aws_secret_access_key secret_key session_token "
                                             "aws_session_token",
     .type = CONF_UNSUPPORTED, .group = CONF_GROUP_PEERS, .secret = true, .help = "refused",
     .note = "secrets on a command line can be read by every user of the machine; use the environment "
             "(AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN), ~/.aws/credentials or passwd_file"},
    REFUSED("iam_role", "ecs ibm_iam_auth imdsv1only use_session_token credlib",
            "credentials of roles, containers and instances are not supported yet; use keys from the "
            "environment, ~/.aws/credentials or passwd_file"),
    REFUSED("sigv2", NULL, "signature version 2 is not supported; leave it out to use version 4"),
    REFUSED("use_sse", "sse sse_kms_key_id sse_c load_sse_c sse_kms",
            "encryption by request is not supported; set the bucket's default encryption instead"),
    REFUSED("default_acl", "acl", "ACLs are not supported; use a bucket policy"),
    REFUSED("requester_pays", "expected_bucket_owner", "not supported; requests go out without it"),
    REFUSED("dual_stack", "dualstack", "set AWS_USE_DUALSTACK_ENDPOINT=true in the environment"),
    REFUSED("transfer_acceleration", NULL, "not supported; leave it out to use the regional endpoint"),
    REFUSED("proxy", "proxy_cred_file", "proxies are not supported by option"),
    REFUSED("ssl_verify_hostname", NULL, "use no_verify_ssl to accept any certificate"),
    REFUSED("tmpdir", "temp_dir ensure_diskfree free_space_ratio", "local state lives in cache_dir"),
    REFUSED("cache_xz", "vfs_cache_mode vfs_cache_max_age",
            "cache_size keeps file content that was read on the local disk; leave this one out"),
    REFUSED("nomultipart", "nocopyapi norenameapi nomixupload noobj_cache",
            "the server must know multipart uploads and server-side copies"),
    REFUSED("mp_umask", NULL, "use dir_mode or umask"),
    REFUSED("vfs_write_back", NULL, "changes are stored at close; use writeback to have them stored later"),
    REFUSED("mime", NULL, "content types follow /etc/mime.types; put the file there"),
    REFUSED("curldbg", "debug_s3 debug_fuse debug_crt", "use -d"),
    REFUSED("log_directory", "log_dir", "use log_file"),

    {.name = "help", .letter = 'h', .type = CONF_PRESET, PROCESS, .help = "print this text"},
    {.name = "version", .letter = 'V', .type = CONF_PRESET, PROCESS, .help = "print the version"},
};
/* clang-format on */

const size_t conf_n_rows = ARRAY_SIZE(conf_rows);
_Static_assert(ARRAY_SIZE(conf_rows) <= CONF_ROWS_MAX, "conf_options.given is too small");
