/* SPDX-License-Identifier: Apache-2.0 */
#include "errors.h"

static const struct {
    const char *code;
    int status;
    const char *message;
} errors[ERR_MAX] = {[ERR_NONE] = {"", 200, ""},
#define S3D_ERROR_ROW(id, code, status, message) [ERR_##id] = {code, status, message},
                     S3D_ERRORS(S3D_ERROR_ROW)
#undef S3D_ERROR_ROW
};

const char *s3d_error_code(enum s3d_error e)
{
    return errors[e].code;
}

int s3d_error_status(enum s3d_error e)
{
    return errors[e].status;
}

const char *s3d_error_message(enum s3d_error e)
{
    return errors[e].message;
}
