/* SPDX-License-Identifier: Apache-2.0 */
/* Which host a bucket's requests go to, and which hosts may see a signature.
 * https://docs.aws.amazon.com/general/latest/gr/s3.html */
#ifndef PAILFS_AWS_ENDPOINT_H
#define PAILFS_AWS_ENDPOINT_H

#include <stdbool.h>

#include "aws/config.h"
#include "base/error.h"

struct aws_endpoint {
    char scheme[6];       /* "https" or "http" */
    char authority[320];  /* host[:port] as it stands in the URL and the Host header */
    char base_path[1024]; /* "" or "/..." without trailing '/': the custom URL's path and, in path
                             style, "/bucket" */
    char region[64];      /* for the signature */
    bool custom;          /* from endpoint_url, not from AWS' naming */
    bool path_style;
};

#define AWS_DEFAULT_REGION "us-east-1"

/* bucket NULL = the service itself (ListBuckets). region NULL = config's, else the default.
 * Virtual-host style only where the bucket's name allows it (DNS label, no dots over https, host
 * not an IP address); AUTO means virtual on AWS and path style on a custom endpoint. */
int aws_endpoint_resolve(const struct aws_config *config, const char *bucket, const char *region,
                         struct aws_endpoint *ret, struct s3_error *reterr);
/* "aws", "aws-cn", "aws-us-gov" ... and its DNS suffix. Unknown regions belong to "aws" when they
 * look like a region name; NULL otherwise. */
const char *aws_region_dns_suffix(const char *region);
/* Letters, digits and dashes, 1-63 long: safe to put into a host name. */
bool aws_region_valid(const char *region);
/* S3's naming rules (strict: general purpose buckets; RGW and others take more in path style). */
bool aws_bucket_name_is_dns(const char *bucket);
int aws_bucket_name_check(const char *bucket, struct s3_error *reterr);

/* Whether the URL's host is one of AWS' own. */
bool aws_endpoint_is_aws(const char *url);

/* "host[:port][/...]" is this machine by its own address: nobody is on the way. */
bool aws_endpoint_is_loopback(const char *authority);

#endif
