/* SPDX-License-Identifier: Apache-2.0 */
/* DeleteObject and DeleteObjects. */
#include <errno.h>

#include "base/attr.h"
#include "s3/op.h"

void s3_build_delete_object(struct s3_build *b, const void *in)
{
    const struct s3_delete_object_in *i = in;

    s3_build_param(b, "versionId", i->version_id);
    s3_build_header(b, "If-Match", i->if_match);
}

int s3_parse_delete_object(struct s3_answer *a, void *out)
{
    struct s3_delete_object_out *o = out;
    int r = s3_answer_chars(a, "x-amz-version-id", o->version_id, sizeof(o->version_id));

    return r ? r : s3_answer_bool(a, "x-amz-delete-marker", &o->delete_marker);
}

void s3_build_delete_objects(struct s3_build *b, const void *in)
{
    const struct s3_delete_objects_in *i = in;

    if (i->n_entries < 1 || i->n_entries > S3_DELETE_BATCH_MAX) {
        s3_build_fail(b, -EINVAL, "one request deletes 1 to %u objects, not %zu",
                      S3_DELETE_BATCH_MAX, i->n_entries);
        return;
    }
    s3_build_xml_raw(b, "<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
    for (size_t n = 0; n < i->n_entries && !b->error; n++) {
        const struct s3_delete_entry *e = &i->entries[n];
        if (!e->key || !*e->key) {
            s3_build_fail(b, -EINVAL, "an entry has no key");
            return;
        }
        s3_build_xml_raw(b, "<Object>");
        s3_build_xml(b, "Key", e->key);
        if (e->version_id)
            s3_build_xml(b, "VersionId", e->version_id);
        if (e->etag)
            s3_build_xml(b, "ETag", e->etag);
        s3_build_xml_raw(b, "</Object>");
    }
    if (i->quiet)
        s3_build_xml_raw(b, "<Quiet>true</Quiet>");
    s3_build_xml_raw(b, "</Delete>");
}

static const struct xml_element deleted_children[] = {
    XML_FIELD("Key", XML_TEXT, struct s3_delete_result, key, XML_F_REQUIRED),
    XML_FIELD("VersionId", XML_TEXT, struct s3_delete_result, version_id, 0),
    XML_FIELD("DeleteMarkerVersionId", XML_TEXT, struct s3_delete_result, marker_version_id, 0),
};
static const struct xml_element failed_children[] = {
    XML_FIELD("Key", XML_TEXT, struct s3_delete_result, key, XML_F_EMPTY),
    XML_FIELD("VersionId", XML_TEXT, struct s3_delete_result, version_id, 0),
    XML_FIELD("Code", XML_TEXT, struct s3_delete_result, code, XML_F_REQUIRED),
    XML_FIELD("Message", XML_TEXT, struct s3_delete_result, message, XML_F_EMPTY),
};
static const struct xml_element delete_objects_children[] = {
    XML_ITEMS("Deleted", struct s3_delete_objects_out, results, n_results, deleted_children),
    XML_ITEMS("Error", struct s3_delete_objects_out, results, n_results, failed_children),
};
const struct xml_element s3_xml_delete_objects =
    XML_SUBTREE("DeleteResult", delete_objects_children, 0);

int s3_parse_delete_objects(struct s3_answer *a, void *out)
{
    const struct s3_delete_objects_in *in = a->in;
    struct s3_delete_objects_out *o = out;

    o->n_failed = 0;
    for (size_t i = 0; i < o->n_results; i++)
        o->n_failed += o->results[i].code != NULL;
    /* An entry the answer does not mention is neither deleted nor refused as far as we know. */
    if (!in->quiet && o->n_results < in->n_entries)
        return s3_answer_fail(a, "the answer tells of %zu objects, %zu were to be deleted",
                              o->n_results, in->n_entries);
    return 0;
}
