/* JSON as XML, by the mapping that GeoReport v2 asks for: a list's items get the singular of its
 * name, null and "" are empty elements, and a time that is not known is left out, for clients read
 * an empty one as a time. */
#include <string.h>
#include <yajl/yajl_tree.h>

#include "open311.h"
#include "xml.h"

static const struct {
    const char *list, *item;
} items[] = {
    { "attributes", "attribute" },
    { "endpoints", "endpoint" },
    { "errors", "error" },
    { "formats", "format" },
    { "jurisdictions", "jurisdiction" },
    { "notes", "note" },
    { "service_request_updates", "request_update" },
    { "service_requests", "request" },
    { "services", "service" },
    { "values", "value" },
};

static struct str item_of(struct str list)
{
    for (size_t i = 0; i < sizeof items / sizeof *items; i++) {
        if (str_eq(list, str_of(items[i].list))) {
            return str_of(items[i].item);
        }
    }
    return STR("item");
}

static int is_time(struct str name)
{
    static const struct str end = STR("datetime");
    return name.n >= end.n && memcmp(name.p + name.n - end.n, end.p, end.n) == 0;
}

static void put_leaf(struct xml *x, struct arena *a, struct str name, struct str text)
{
    struct str clean = xml_clean(a, text);
    if (clean.p == NULL) {
        x->err = XML_MEMORY;
    } else if (clean.n == 0) {
        xml_empty(x, name);
    } else {
        xml_open(x, name);
        xml_text(x, clean);
        xml_close(x);
    }
}

/* At most XML_DEPTH_MAX deep: the writer refuses more. */
static void put_value(struct xml *x, struct arena *a, struct str name, yajl_val v)
{
    if (x->err != XML_OK) {
        return;
    }
    switch (v->type) {
    case yajl_t_object:
        xml_open(x, name);
        for (size_t i = 0; i < YAJL_GET_OBJECT(v)->len; i++) {
            put_value(x, a, str_of(YAJL_GET_OBJECT(v)->keys[i]), YAJL_GET_OBJECT(v)->values[i]);
        }
        xml_close(x);
        break;
    case yajl_t_array:
        if (YAJL_GET_ARRAY(v)->len == 0) {
            xml_empty(x, name);
            break;
        }
        xml_open(x, name);
        for (size_t i = 0; i < YAJL_GET_ARRAY(v)->len; i++) {
            put_value(x, a, item_of(name), YAJL_GET_ARRAY(v)->values[i]);
        }
        xml_close(x);
        break;
    case yajl_t_null:
        if (!is_time(name)) {
            xml_empty(x, name);
        }
        break;
    case yajl_t_true:
    case yajl_t_false:
        put_leaf(x, a, name, v->type == yajl_t_true ? STR("true") : STR("false"));
        break;
    default:
        put_leaf(x, a, name,
                 str_of(v->type == yajl_t_number ? YAJL_GET_NUMBER(v) : YAJL_GET_STRING(v)));
    }
}

static enum xml_err write_all(struct xml *x, struct arena *a, char *p, size_t size,
                              const char *root, yajl_val tree)
{
    xml_begin(x, p, size);
    put_value(x, a, str_of(root), tree);
    return xml_end(x);
}

struct str open311_xml(struct arena *a, const char *root, const char *json)
{
    struct str out = { NULL, 0 };
    char why[64];
    yajl_val tree = yajl_tree_parse(json, why, sizeof why);
    struct xml x;
    if (tree == NULL) {
        return out;
    }
    if (write_all(&x, a, NULL, 0, root, tree) == XML_OK) {
        size_t size = x.n;
        char *p = arena_alloc(a, size);
        if (p != NULL && write_all(&x, a, p, size, root, tree) == XML_OK) {
            out = (struct str){ p, size };
        }
    }
    yajl_tree_free(tree);
    return out;
}
