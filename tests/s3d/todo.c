/* SPDX-License-Identifier: Apache-2.0 */
/* Operations to come. */
#include "ops.h"
#include "request.h"

#define TODO(name)                                                                                 \
    void name(struct request *r)                                                                   \
    {                                                                                              \
        reply_error(r, ERR_NOT_IMPLEMENTED);                                                       \
    }

TODO(op_list_object_versions)
TODO(op_get_object_attributes)
TODO(op_copy_object)
TODO(op_restore_object)
TODO(op_create_multipart_upload)
TODO(op_upload_part)
TODO(op_upload_part_copy)
TODO(op_complete_multipart_upload)
TODO(op_abort_multipart_upload)
TODO(op_list_multipart_uploads)
TODO(op_list_parts)

bool op_create_multipart_upload_begin(struct request *r)
{
    reply_error(r, ERR_NOT_IMPLEMENTED);
    return false;
}

bool op_upload_part_begin(struct request *r)
{
    reply_error(r, ERR_NOT_IMPLEMENTED);
    return false;
}
