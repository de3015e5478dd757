/* SPDX-License-Identifier: Apache-2.0 */
/* Every hard cap on something that arrives from outside, in one list. Limits of the S3 protocol
 * itself (part sizes, key length) are in s3/s3_limits.h. */
#ifndef PAILFS_BASE_LIMITS_H
#define PAILFS_BASE_LIMITS_H

/* One page of a listing with 1,000 keys of 1,024 bytes, percent-encoded, is below 4 MiB. */
#define LIMIT_XML_BODY     (16u << 20) /* any XML answer, bytes */
#define LIMIT_XML_TEXT     (64u << 10) /* text of one element, bytes */
#define LIMIT_XML_DEPTH    32u         /* nesting of elements */
#define LIMIT_ERROR_BODY   (64u << 10) /* body of an answer that is not 2xx, bytes */
#define LIMIT_HEADER_LINE  (16u << 10) /* one response header, bytes */
#define LIMIT_HEADERS      256u        /* response headers of one answer */
#define LIMIT_HEADER_BYTES (64u << 10) /* all response headers of one answer, bytes */
#define LIMIT_URL          (32u << 10) /* request URL: a key of 1,024 bytes percent-encoded fits */
#define LIMIT_INI_FILE     (1u << 20)  /* ~/.aws/config and the like, bytes */
#define LIMIT_INI_LINE     (16u << 10) /* one line of it; session tokens are about 1-2 KiB */
#define LIMIT_PASSWD_FILE  (64u << 10) /* s3fs passwd_file, bytes */
#define LIMIT_OPTION_VALUE (16u << 10) /* one mount option's value, bytes */
#define LIMIT_CTL_MESSAGE  (64u << 10) /* one request on the control socket, bytes */
#define LIMIT_LOG_LINE     2048u       /* longer lines are cut, bytes */
#define LIMIT_PAGE_STRINGS (16u << 20) /* strings of one parsed page, bytes */

/* metadata.db. 500,000 files with mode, owner and times take about 200 MB. */
#define LIMIT_METADATA_ROWS  500000u      /* objects whose attributes are kept over mounts */
#define LIMIT_METADATA_BYTES (256u << 20) /* the file */
#define LIMIT_METADATA_ROW   (32u << 10)  /* attributes of one object, bytes; S3 takes 2 KiB */
#define LIMIT_METADATA_QUEUE 4096u        /* rows that wait to be written; more are dropped */
#define LIMIT_METADATA_OWN   100000u      /* own changes that wait to be read back */
#define LIMIT_INODE_NUMBERS  500000u      /* that do not follow from the key; 32 bytes each */

#endif
