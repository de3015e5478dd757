/* SPDX-License-Identifier: Apache-2.0 */
/* The S3 error codes that s3d answers with, one list.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html */
#ifndef S3D_ERRORS_H
#define S3D_ERRORS_H

/* id, code on the wire, HTTP status, default message */
#define S3D_ERRORS(X)                                                                              \
    X(ACCESS_DENIED, "AccessDenied", 403, "Access Denied")                                         \
    X(AUTH_HEADER_MALFORMED, "AuthorizationHeaderMalformed", 400,                                  \
      "The authorization header is malformed.")                                                    \
    X(AUTH_QUERY, "AuthorizationQueryParametersError", 400,                                        \
      "Error parsing the X-Amz-Credential parameter.")                                             \
    X(BAD_DIGEST, "BadDigest", 400,                                                                \
      "The Content-MD5 you specified did not match what we received.")                             \
    X(BUCKET_EXISTS, "BucketAlreadyOwnedByYou", 409,                                               \
      "Your previous request to create the named bucket succeeded and you already own it.")        \
    X(BUCKET_NOT_EMPTY, "BucketNotEmpty", 409, "The bucket you tried to delete is not empty.")     \
    X(CONDITIONAL_CONFLICT, "ConditionalRequestConflict", 409,                                     \
      "The conditional request cannot succeed due to a conflicting operation against this "        \
      "resource.")                                                                                 \
    X(CONTENT_SHA256_MISMATCH, "XAmzContentSHA256Mismatch", 400,                                   \
      "The provided 'x-amz-content-sha256' header does not match what was computed.")              \
    X(ENTITY_TOO_LARGE, "EntityTooLarge", 400,                                                     \
      "Your proposed upload exceeds the maximum allowed object size.")                             \
    X(ENTITY_TOO_SMALL, "EntityTooSmall", 400,                                                     \
      "Your proposed upload is smaller than the minimum allowed size")                             \
    X(EXPIRED_TOKEN, "ExpiredToken", 400, "The provided token has expired.")                       \
    X(ILLEGAL_LOCATION, "IllegalLocationConstraintException", 400,                                 \
      "The location constraint is incompatible for the region specific endpoint this request "     \
      "was sent to.")                                                                              \
    X(INCOMPLETE_BODY, "IncompleteBody", 400,                                                      \
      "You did not provide the number of bytes specified by the Content-Length HTTP header.")      \
    X(INTERNAL, "InternalError", 500, "We encountered an internal error. Please try again.")       \
    X(INVALID_ACCESS_KEY, "InvalidAccessKeyId", 403,                                               \
      "The AWS Access Key Id you provided does not exist in our records.")                         \
    X(INVALID_ARGUMENT, "InvalidArgument", 400, "Invalid Argument")                                \
    X(INVALID_BUCKET_NAME, "InvalidBucketName", 400, "The specified bucket is not valid.")         \
    X(INVALID_CHUNK_SIZE, "InvalidChunkSizeError", 403,                                            \
      "Only the last chunk is allowed to have a size less than 8192 bytes")                        \
    X(INVALID_DIGEST, "InvalidDigest", 400, "The Content-MD5 you specified was invalid.")          \
    X(INVALID_LOCATION, "InvalidLocationConstraint", 400,                                          \
      "The specified location-constraint is not valid")                                            \
    X(INVALID_OBJECT_STATE, "InvalidObjectState", 403,                                             \
      "The operation is not valid for the object's storage class")                                 \
    X(INVALID_PART, "InvalidPart", 400,                                                            \
      "One or more of the specified parts could not be found.  The part may not have been "        \
      "uploaded, or the specified entity tag may not match the part's entity tag.")                \
    X(INVALID_PART_ORDER, "InvalidPartOrder", 400,                                                 \
      "The list of parts was not in ascending order. Parts must be ordered by part number.")       \
    X(INVALID_PART_NUMBER, "InvalidPartNumber", 416,                                               \
      "The requested partnumber is not satisfiable")                                               \
    X(INVALID_RANGE, "InvalidRange", 416, "The requested range is not satisfiable")                \
    X(INVALID_REQUEST, "InvalidRequest", 400, "Invalid Request")                                   \
    X(INVALID_STORAGE_CLASS, "InvalidStorageClass", 400,                                           \
      "The storage class you specified is not valid")                                              \
    X(INVALID_TOKEN, "InvalidToken", 400, "The provided token is malformed or otherwise invalid.") \
    X(INVALID_URI, "InvalidURI", 400, "Couldn't parse the specified URI.")                         \
    X(KEY_TOO_LONG, "KeyTooLongError", 400, "Your key is too long")                                \
    X(MALFORMED_TRAILER, "MalformedTrailerError", 400,                                             \
      "The request contained trailing data that was not well-formed or did not conform to our "    \
      "published schema.")                                                                         \
    X(MALFORMED_XML, "MalformedXML", 400,                                                          \
      "The XML you provided was not well-formed or did not validate against our published "        \
      "schema")                                                                                    \
    X(METADATA_TOO_LARGE, "MetadataTooLarge", 400,                                                 \
      "Your metadata headers exceed the maximum allowed metadata size")                            \
    X(METHOD_NOT_ALLOWED, "MethodNotAllowed", 405,                                                 \
      "The specified method is not allowed against this resource.")                                \
    X(MISSING_CONTENT_LENGTH, "MissingContentLength", 411,                                         \
      "You must provide the Content-Length HTTP header.")                                          \
    X(MISSING_SECURITY_HEADER, "MissingSecurityHeader", 400,                                       \
      "Your request is missing a required header")                                                 \
    X(NO_SUCH_BUCKET, "NoSuchBucket", 404, "The specified bucket does not exist")                  \
    X(NO_SUCH_KEY, "NoSuchKey", 404, "The specified key does not exist.")                          \
    X(NO_SUCH_UPLOAD, "NoSuchUpload", 404,                                                         \
      "The specified upload does not exist. The upload ID may be invalid, or the upload may "      \
      "have been aborted or completed.")                                                           \
    X(NO_SUCH_VERSION, "NoSuchVersion", 404, "The specified version does not exist.")              \
    X(NOT_IMPLEMENTED, "NotImplemented", 501,                                                      \
      "A header or query you provided implies functionality that is not implemented")              \
    X(NOT_MODIFIED, "NotModified", 304, "Not Modified")                                            \
    X(NOT_IN_ACTIVE_TIER, "ObjectNotInActiveTierError", 403,                                       \
      "The source object of the COPY action is not in the active tier")                            \
    X(PERMANENT_REDIRECT, "PermanentRedirect", 301,                                                \
      "The bucket you are attempting to access must be addressed using the specified endpoint. "   \
      "Please send all future requests to this endpoint.")                                         \
    X(PRECONDITION_FAILED, "PreconditionFailed", 412,                                              \
      "At least one of the pre-conditions you specified did not hold")                             \
    X(REQUEST_TIME_SKEWED, "RequestTimeTooSkewed", 403,                                            \
      "The difference between the request time and the current time is too large.")                \
    X(REQUEST_HEADERS_TOO_LARGE, "RequestHeaderSectionTooLarge", 400,                              \
      "Your request header section exceeds the maximum allowed length")                            \
    X(REQUEST_TIMEOUT, "RequestTimeout", 400,                                                      \
      "Your socket connection to the server was not read from or written to within the timeout "   \
      "period.")                                                                                   \
    X(RESTORE_IN_PROGRESS, "RestoreAlreadyInProgress", 409,                                        \
      "Object restore is already in progress")                                                     \
    X(SIGNATURE_MISMATCH, "SignatureDoesNotMatch", 403,                                            \
      "The request signature we calculated does not match the signature you provided. Check your " \
      "key and signing method.")                                                                   \
    X(SLOW_DOWN, "SlowDown", 503, "Please reduce your request rate.")                              \
    X(TOO_MANY_BUCKETS, "TooManyBuckets", 400,                                                     \
      "You have attempted to create more buckets than allowed")

enum s3d_error {
    ERR_NONE,
#define S3D_ERROR_ID(id, code, status, message) ERR_##id,
    S3D_ERRORS(S3D_ERROR_ID)
#undef S3D_ERROR_ID
        ERR_MAX,
};

const char *s3d_error_code(enum s3d_error e);
int s3d_error_status(enum s3d_error e);
const char *s3d_error_message(enum s3d_error e);

#endif
