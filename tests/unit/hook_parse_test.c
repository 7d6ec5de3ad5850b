// sources: services/intake/hook_parse.c services/common/arena.c services/common/utf8.c
// sources: services/common/ids.c
// libs: -lyajl -lcrypto -luuid -lm
/* Events of networks: what is read out of them, what is none, what is poison. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "hook_parse.h"

static struct arena *arena;
static struct hook hook;

static int setup(void **state)
{
    (void)state;
    arena = arena_new(8 * 1024 * 1024);
    return arena == NULL;
}

static int teardown(void **state)
{
    (void)state;
    arena_free(arena);
    return 0;
}

static enum otk_err parse(enum hook_network network, const char *body)
{
    return hook_parse(arena, network, str_of(body), &hook);
}

static void assert_str(struct str s, const char *wanted)
{
    if (!str_eq(s, str_of(wanted))) {
        fail_msg("\"%.*s\" is not \"%s\"", (int)s.n, s.p == NULL ? "" : s.p, wanted);
    }
}

/* A row: what is read, and what it must come to. */
struct row {
    enum hook_network network;
    const char *body;
    enum hook_act act;
    const char *address, *reason;
};

#define VK(type, object) \
    "{\"type\":\"" type "\",\"group_id\":12,\"event_id\":\"e\",\"object\":{" object "}}"
#define TG(kind, message) \
    "{\"update_id\":1,\"" kind "\":{\"message_id\":5,\"chat\":{\"id\":-7}," message "}}"

static const struct row rows[] = {
    { HOOK_VK, VK("wall_reply_new", "\"id\":9,\"from_id\":1,\"post_owner_id\":-12,\"post_id\":6"),
      HOOK_NEW, "reply:-12:6:9", NULL },
    { HOOK_VK, VK("wall_reply_delete", "\"id\":9,\"deleter_id\":1,\"owner_id\":-12,\"post_id\":6"),
      HOOK_DELETE, "reply:-12:6:9", NULL },
    { HOOK_VK,
      VK("wall_reply_edit", "\"id\":9,\"from_id\":-12,\"post_owner_id\":-99,\"post_id\":6"),
      HOOK_EDIT, "reply:-99:6:9", "own" },
    { HOOK_VK,
      VK("wall_reply_restore", "\"id\":9,\"owner_id\":5,\"post_owner_id\":-12,\"post_id\":6"),
      HOOK_RESTORE, "reply:-12:6:9", NULL },
    { HOOK_VK, VK("video_comment_new", "\"id\":9,\"video_owner_id\":-12,\"video_id\":6"), HOOK_NEW,
      "video:-12:6:9", NULL },
    { HOOK_VK, VK("board_post_delete", "\"id\":9,\"topic_owner_id\":-12,\"topic_id\":6"),
      HOOK_DELETE, "board:-12:6:9", NULL },
    { HOOK_VK, VK("photo_comment_new", "\"id\":9,\"photo_owner_id\":-12,\"photo_id\":6"), HOOK_NEW,
      "photo:-12:6:9", NULL },
    { HOOK_VK, VK("market_comment_new", "\"id\":9,\"market_owner_id\":-12,\"item_id\":6"), HOOK_NEW,
      "market:-12:6:9", NULL },
    { HOOK_VK, VK("wall_post_new", "\"id\":9,\"owner_id\":-12,\"from_id\":1"), HOOK_NEW,
      "post:-12:9", NULL },
    { HOOK_VK,
      VK("message_new", "\"message\":{\"id\":4,\"peer_id\":8,\"conversation_message_id\":3}"),
      HOOK_NEW, "message:8:3", NULL },
    { HOOK_VK, VK("message_new", "\"message\":{\"id\":4,\"peer_id\":8,\"out\":1}"), HOOK_NEW,
      "message:8:4", "own" },
    { HOOK_VK, VK("message_edit", "\"id\":4,\"peer_id\":8,\"conversation_message_id\":3,\"out\":0"),
      HOOK_EDIT, "message:8:3", NULL },
    { HOOK_VK, VK("message_reply", "\"id\":4,\"peer_id\":8"), HOOK_NEW, "message:8:4", "own" },
    { HOOK_VK, VK("wall_reply_", "\"id\":4"), HOOK_NOTHING, "", "not_a_message" },
    { HOOK_VK, VK("wall_reply_like", "\"id\":4"), HOOK_NOTHING, "", "not_a_message" },
    { HOOK_VK, "{\"type\":\"confirmation\",\"group_id\":12}", HOOK_CONFIRMATION, "", NULL },
    { HOOK_VK, "{}", HOOK_NOTHING, "", "not_a_message" },
    { HOOK_TELEGRAM, TG("message", "\"text\":\"a\""), HOOK_NEW, "message:-7:5", NULL },
    { HOOK_TELEGRAM, TG("edited_message", "\"text\":\"a\""), HOOK_EDIT, "message:-7:5", NULL },
    { HOOK_TELEGRAM, TG("message", "\"is_automatic_forward\":true"), HOOK_NEW, "message:-7:5",
      "own" },
    { HOOK_TELEGRAM, TG("message", "\"sender_chat\":{\"id\":-7}"), HOOK_NEW, "message:-7:5",
      "own" },
    { HOOK_TELEGRAM, TG("message", "\"sender_chat\":{\"id\":-8}"), HOOK_NEW, "message:-7:5", NULL },
    { HOOK_TELEGRAM, TG("message", "\"from\":{\"is_bot\":true}"), HOOK_NEW, "message:-7:5", "bot" },
    { HOOK_TELEGRAM, TG("poll", "\"text\":\"a\""), HOOK_NOTHING, "", "not_a_message" },
    { HOOK_OK, "{\"webhookType\":\"MESSAGE_CREATED\",\"message\":{\"mid\":\"mid:1\"}}", HOOK_NEW,
      "message:mid:1", NULL },
    { HOOK_OK, "{\"webhookType\":\"MESSAGE_CALLBACK\",\"message\":{\"mid\":\"mid:1\"}}",
      HOOK_NOTHING, "", "not_a_message" },
    { HOOK_MAX, "{\"update_type\":\"message_created\",\"message\":{\"body\":{\"mid\":\"m.1\"}}}",
      HOOK_NEW, "message:m.1", NULL },
    { HOOK_MAX, "{\"update_type\":\"message_removed\",\"message_id\":\"m.1\",\"chat_id\":5}",
      HOOK_DELETE, "message:m.1", NULL },
    { HOOK_MAX, "{\"update_type\":\"bot_started\",\"user\":{\"user_id\":5}}", HOOK_NOTHING, "",
      "not_a_message" },
};

static void each_kind_is_known(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (parse(rows[i].network, rows[i].body) != OTK_OK) {
            fail_msg("%s: %.*s", rows[i].body, (int)hook.error.n, hook.error.p);
        }
        if (hook.act != rows[i].act) {
            fail_msg("%s: act %d", rows[i].body, (int)hook.act);
        }
        assert_str(hook.address, rows[i].address);
        assert_str(str_of(hook.reason), rows[i].reason == NULL ? "" : rows[i].reason);
        assert_true(hook.event_id.n > 0);
    }
}

static void ids_are_64_bits(void **state)
{
    (void)state;
    assert_int_equal(parse(HOOK_TELEGRAM, "{\"update_id\":9223372036854775807,\"message\":{"
                                          "\"message_id\":9007199254740993,"
                                          "\"chat\":{\"id\":-9223372036854775808}}}"),
                     OTK_OK);
    assert_str(hook.address, "message:-9223372036854775808:9007199254740993");
    assert_str(hook.event_id, "update:9223372036854775807");
    static const char *const bad[] = { "9223372036854775808",
                                       "-9223372036854775809",
                                       "1e3",
                                       "1.0",
                                       "true",
                                       "\"\"",
                                       "\"-\"",
                                       "\"1x\"",
                                       "\" 1\"",
                                       "[1]",
                                       "{}" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char body[200];
        snprintf(body, sizeof body,
                 "{\"update_id\":1,\"message\":{\"message_id\":%s,\"chat\":{\"id\":1}}}", bad[i]);
        if (parse(HOOK_TELEGRAM, body) != OTK_INVALID) {
            fail_msg("%s is taken", body);
        }
        assert_str(hook.event_id, "update:1");
    }
    /* The same number in a string is the same id. */
    assert_int_equal(parse(HOOK_TELEGRAM, "{\"update_id\":1,\"message\":{\"message_id\":\"5\","
                                          "\"chat\":{\"id\":\"-7\"}}}"),
                     OTK_OK);
    assert_str(hook.address, "message:-7:5");
}

static void texts_become_what_the_register_takes(void **state)
{
    (void)state;
    static const struct {
        const char *json, *text;
    } texts[] = {
        { "\" \\n a\\r\\nb\\t \"", "a \nb" },
        { "\"\\u0000\\u0007x\\u007f\\u0085\"", "x" },
        { "\"\\ud83d\\ude00\"", "\xF0\x9F\x98\x80" },
        { "\"a\\udc00b\"", "a\xEF\xBF\xBD"
                           "b" },
        { "\"\"", "" },
        { "null", "" },
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        char body[200];
        snprintf(body, sizeof body, TG("message", "\"text\":%s"), texts[i].json);
        assert_int_equal(parse(HOOK_TELEGRAM, body), OTK_OK);
        assert_str(hook.text, texts[i].text);
    }
    assert_int_equal(parse(HOOK_TELEGRAM, TG("message", "\"caption\":\"under a picture\"")),
                     OTK_OK);
    assert_str(hook.text, "under a picture");
    assert_int_equal(parse(HOOK_TELEGRAM, TG("message", "\"text\":7")), OTK_INVALID);
}

static void what_others_said_is_not_what_this_one_says(void **state)
{
    (void)state;
    assert_int_equal(parse(HOOK_TELEGRAM,
                           TG("message", "\"reply_to_message\":{\"text\":\"no\",\"message_id\":1},"
                                         "\"entities\":[{\"text\":\"no\"}],\"chat.id\":1,"
                                         "\"quote\":{\"chat\":{\"id\":2}}")),
                     OTK_OK);
    assert_str(hook.text, "");
    assert_str(hook.address, "message:-7:5");
    assert_int_equal(parse(HOOK_VK,
                           VK("message_new", "\"message\":{\"id\":4,\"peer_id\":8,\"text\":\"yes\","
                                             "\"fwd_messages\":[{\"text\":\"no\",\"id\":1}],"
                                             "\"reply_message\":{\"text\":\"no\",\"id\":2}}")),
                     OTK_OK);
    assert_str(hook.text, "yes");
    assert_str(hook.address, "message:8:4");
}

static void no_object_is_told_apart_from_poison(void **state)
{
    (void)state;
    static const char *const broken[] = {
        "",  "x",           "[]",         "null",         "1",       "\"a\"",
        "{", "{\"a\":1}{}", "{\"a\":01}", "{\"\xff\":1}", "{'a':1}", "{\"a\":1,}"
    };
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        if (parse(HOOK_VK, broken[i]) != OTK_MALFORMED) {
            fail_msg("%s is taken", broken[i]);
        }
        assert_true(hook.error.n > 0);
        assert_memory_equal(hook.event_id.p, "sha256:", 7);
        assert_null(hook.secret.p);
    }
    assert_int_equal(parse(HOOK_VK, "\xEF\xBB\xBF{\"secret\":\"s\"}"), OTK_OK);
    assert_str(hook.secret, "s");
    /* Who sent poison can be told all the same. */
    assert_int_equal(parse(HOOK_VK, "{\"type\":\"wall_reply_new\",\"secret\":\"s\",\"group_id\":12,"
                                    "\"object\":{\"id\":\"x\"}}"),
                     OTK_INVALID);
    assert_str(hook.secret, "s");
    assert_int_equal(hook.page, 12);
    assert_str(hook.type, "wall_reply_new");
}

static void depth_and_length_are_bounded(void **state)
{
    (void)state;
    static char body[200000];
    int n = snprintf(body, sizeof body, "{\"a\":");
    memset(body + n, '[', 63);
    memset(body + n + 63, ']', 63);
    strcpy(body + n + 126, "}");
    assert_int_equal(parse(HOOK_VK, body), OTK_OK);
    memset(body + n, '[', 100000);
    body[n + 100000] = '\0';
    assert_int_equal(parse(HOOK_VK, body), OTK_MALFORMED);
    /* An id of the event that is too long is replaced by its digest, an address is refused. */
    n = snprintf(body, sizeof body,
                 "{\"update_type\":\"message_created\",\"message\":{\"body\":{\"mid\":\"");
    memset(body + n, 'm', 300);
    strcpy(body + n + 300, "\"}}}");
    assert_int_equal(parse(HOOK_MAX, body), OTK_INVALID);
    assert_memory_equal(hook.event_id.p, "sha256:", 7);
    assert_int_equal(hook.address.n, 0);
}

static void events_of_one_message_differ(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "{\"update_type\":\"message_created\",\"timestamp\":1,\"message\":{\"body\":{\"mid\":\"m\"}}}",
        "{\"update_type\":\"message_edited\",\"timestamp\":2,\"message\":{\"body\":{\"mid\":\"m\"}}}",
        "{\"update_type\":\"message_edited\",\"timestamp\":3,\"message\":{\"body\":{\"mid\":\"m\"}}}",
        "{\"update_type\":\"message_removed\",\"timestamp\":4,\"message_id\":\"m\"}",
    };
    static const char *const ids[] = { "message_created:m", "message_edited:m:2",
                                       "message_edited:m:3", "message_removed:m:4" };
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(parse(HOOK_MAX, bodies[i]), OTK_OK);
        assert_str(hook.event_id, ids[i]);
        assert_str(hook.address, "message:m");
    }
}

static void a_place_is_taken_or_left(void **state)
{
    (void)state;
    assert_int_equal(parse(HOOK_TELEGRAM,
                           TG("message", "\"location\":{\"latitude\":57.5,\"longitude\":61}")),
                     OTK_OK);
    assert_true(hook.has_point && hook.lat > 57.4 && hook.lon > 60.9);
    static const char *const none[] = { "\"latitude\":91,\"longitude\":61", "\"latitude\":57",
                                        "\"latitude\":\"57\",\"longitude\":61",
                                        "\"latitude\":1e999,\"longitude\":61" };
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        char body[200];
        snprintf(body, sizeof body, TG("message", "\"location\":{%s}"), none[i]);
        assert_int_equal(parse(HOOK_TELEGRAM, body), OTK_OK);
        assert_false(hook.has_point);
    }
}

/* With any amount of memory: an answer, or the word that there is too little. */
static void memory_may_run_out_anywhere(void **state)
{
    (void)state;
    int good = 0, short_of = 0;
    for (size_t bytes = 0; bytes < 12000; bytes += 16) {
        struct arena *small = arena_new(bytes);
        if (small == NULL) {
            continue;
        }
        enum otk_err err = hook_parse(small, HOOK_VK, str_of(rows[0].body), &hook);
        assert_true(err == OTK_OK || err == OTK_INTERNAL);
        good += err == OTK_OK;
        short_of += err == OTK_INTERNAL;
        arena_free(small);
    }
    assert_true(good > 0 && short_of > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_kind_is_known, setup, teardown),
        cmocka_unit_test_setup_teardown(ids_are_64_bits, setup, teardown),
        cmocka_unit_test_setup_teardown(texts_become_what_the_register_takes, setup, teardown),
        cmocka_unit_test_setup_teardown(what_others_said_is_not_what_this_one_says, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(no_object_is_told_apart_from_poison, setup, teardown),
        cmocka_unit_test_setup_teardown(depth_and_length_are_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(events_of_one_message_differ, setup, teardown),
        cmocka_unit_test_setup_teardown(a_place_is_taken_or_left, setup, teardown),
        cmocka_unit_test_setup_teardown(memory_may_run_out_anywhere, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
