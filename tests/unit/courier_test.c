/* What a notice says, and the letter it becomes: long names, hostile names, limits of lines and of
 * messages. */
// sources: services/courier/letter.c services/courier/notice.c services/common/notice_key.c services/common/ids.c services/common/arena.c services/common/log.c services/common/json.c services/common/language.c
// libs: -lyajl -lcrypto -luuid
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

#include "letter.h"
#include "notice.h"
#include "notice_key.h"

static struct arena *arena;

static int setup(void **state)
{
    (void)state;
    arena = arena_new(16 << 20);
    return arena == NULL ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_free(arena);
    return 0;
}

static struct letter good_letter(void)
{
    return (struct letter){ .from = STR("otklik@centre.example"),
                            .from_name = STR("Смоленская область"),
                            .to = STR("anna@mail.example"),
                            .subject = STR("Ответ на обращение 67-2026-0000001-8"),
                            .message_id = STR("a.2.b@centre.example"),
                            .stop_url = STR("https://otklik.example/notices/unsubscribe?number=1"),
                            .lang = STR("ru"),
                            .plain = STR("Здравствуйте!\n.\n..точка\nFrom here\n"),
                            .html = STR("<p>Здравствуйте!</p>"),
                            .date = 1764072000 };
}

/* Every line ends with CRLF and is short, every octet is ASCII, the headers are those in NAMES and
 * no others. */
static void check_form(struct str s)
{
    static const char *const names[] = { "From",
                                         "To",
                                         "Subject",
                                         "Date",
                                         "Message-ID",
                                         "List-Unsubscribe",
                                         "List-Unsubscribe-Post",
                                         "Auto-Submitted",
                                         "Content-Language",
                                         "MIME-Version",
                                         "Content-Type" };
    size_t seen = 0, line = 0;
    int head = 1;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        assert_true(c < 0x80 && (c >= ' ' || c == '\r' || c == '\n'));
        assert_int_equal(c == '\r', i + 1 < s.n && s.p[i + 1] == '\n');
        if (c != '\n') {
            continue;
        }
        size_t n = i - 1 - line;
        assert_true(n <= 998);
        head = head && n > 0;
        if (head && s.p[line] != ' ') {
            const char *colon = memchr(s.p + line, ':', n);
            assert_non_null(colon);
            struct str name = { s.p + line, (size_t)(colon - (s.p + line)) };
            assert_true(seen < sizeof names / sizeof *names);
            assert_true(str_eq(name, str_of(names[seen])));
            seen++;
        }
        line = i + 1;
    }
    assert_int_equal(seen, sizeof names / sizeof *names);
    assert_int_equal(line, s.n);
}

/* The words of a header, decoded by another way than ours. */
static void decoded(struct str s, const char *name, char *out, size_t size)
{
    char head[64];
    size_t n = 0;
    snprintf(head, sizeof head, "\r\n%s: ", name);
    const char *p = memmem(s.p, s.n, head, strlen(head));
    assert_non_null(p);
    p += strlen(head);
    while (strncmp(p, "=?UTF-8?B?", 10) == 0) {
        p += 10;
        const char *end = strstr(p, "?=");
        assert_true(end - p <= 75 - 12); /* RFC 2047: an encoded word has 75 letters at most */
        unsigned char bytes[96];
        int m = EVP_DecodeBlock(bytes, (const unsigned char *)p, (int)(end - p));
        assert_true(m > 0 && n + (size_t)m < size);
        m -= (end[-1] == '=') + (end[-2] == '=');
        memcpy(out + n, bytes, (size_t)m);
        assert_true(((unsigned char)out[n] & 0xc0) != 0x80); /* no word begins within a character */
        n += (size_t)m;
        p = end + 2;
        if (strncmp(p, "\r\n =?", 5) == 0) {
            p += 3;
        }
    }
    out[n] = '\0';
}

static void a_letter_has_its_form(void **state)
{
    (void)state;
    struct letter l = good_letter();
    struct str s = letter_make(arena, &l);
    char subject[400];
    assert_non_null(s.p);
    check_form(s);
    decoded(s, "Subject", subject, sizeof subject);
    assert_string_equal(subject, l.subject.p);
}

static void long_cyrillic_names_are_folded_between_characters(void **state)
{
    (void)state;
    for (size_t n = 1; n < 300; n++) {
        char name[700] = "";
        for (size_t i = 0, at = 0; i < n; i++) {
            at += (size_t)snprintf(name + at, sizeof name - at, "%s", i % 7 == 0 ? "x" : "Щ");
        }
        struct letter l = good_letter();
        l.subject = str_of(name);
        struct str s = letter_make(arena, &l);
        char back[700];
        assert_non_null(s.p);
        check_form(s);
        decoded(s, "Subject", back, sizeof back);
        assert_string_equal(back, name);
    }
}

static void nothing_written_becomes_a_header(void **state)
{
    (void)state;
    struct letter l = good_letter();
    l.subject = STR("x\r\nBcc: all@mail.example\r\n\r\nbody");
    l.from_name = STR("\r\n.\r\nRSET =?UTF-8?B?eA==?= \"");
    l.plain = STR(".\r\n.\r\nQUIT\r\n--=-otklik-letter-=--");
    struct str s = letter_make(arena, &l);
    assert_non_null(s.p);
    check_form(s);
    assert_null(memmem(s.p, s.n, "Bcc", 3));
    assert_null(memmem(s.p, s.n, "\r\n.", 3));
}

static void hostile_addresses_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = { "",
                                       "anna",
                                       "@mail.example",
                                       "anna@",
                                       "a@b@c.example",
                                       "a b@mail.example",
                                       "a@mail.example\r\nRCPT TO:<x@y.example>",
                                       "a@mail.example>",
                                       "<a@mail.example",
                                       "a,b@mail.example",
                                       "a;b@mail.example",
                                       "\"a\"@mail.example",
                                       "a@mail.example\n",
                                       "а@mail.example",
                                       "a\x7f@mail.example" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct letter to = good_letter(), from = good_letter();
        to.to = from.from = str_of(bad[i]);
        assert_false(letter_address_good(str_of(bad[i])));
        assert_null(letter_make(arena, &to).p);
        assert_null(letter_make(arena, &from).p);
    }
    assert_true(letter_address_good(STR("o'neill+x%y=z!#$&*-/?^_`{|}~@sub-1.mail.example")));
    struct letter l = good_letter();
    l.stop_url = STR("https://x.example/>\r\nBcc: y@z.example");
    assert_null(letter_make(arena, &l).p);
    l = good_letter();
    l.message_id = STR("a b@c.example");
    assert_null(letter_make(arena, &l).p);
}

static void long_bodies_keep_short_lines(void **state)
{
    (void)state;
    size_t size = 200000;
    char *body = malloc(size);
    memset(body, 'x', size);
    struct letter l = good_letter();
    l.plain = l.html = (struct str){ body, size };
    struct str s = letter_make(arena, &l);
    assert_non_null(s.p);
    check_form(s);
    free(body);
}

static struct notice some_notice(void)
{
    return (struct notice){ .lang = LANG_RU,
                            .kind = STR("routed"),
                            .number = STR("67-2026-0000001-8"),
                            .region = STR("Смоленская <область> & \"край\""),
                            .body = STR("Департамент <script>alert(1)</script> {number}"),
                            .received = STR("вт, 24 ноября 2026, 14:05"),
                            .first_due = STR("ср, 25 ноября 2026, 14:05"),
                            .final_due = STR("чт, 3 декабря 2026, 18:00"),
                            .track_url = STR("https://otklik.example/notices/open?a=1&s=2"),
                            .confirm_url = STR("https://otklik.example/notices/confirm?a=1&s=2"),
                            .stop_url = STR("https://otklik.example/notices/unsubscribe?a=1&s=2") };
}

static void a_notice_says_what_there_is(void **state)
{
    (void)state;
    struct notice n = some_notice();
    struct notice_words w;
    assert_int_equal(notice_letter(arena, &n, &w), 0);
    assert_non_null(strstr(w.subject.p, "67-2026-0000001-8"));
    assert_non_null(strstr(w.plain.p, "Департамент <script>alert(1)</script> {number}"));
    assert_non_null(strstr(w.plain.p, "ср, 25 ноября 2026, 14:05"));
    assert_non_null(strstr(w.plain.p, n.track_url.p));
    assert_non_null(strstr(w.plain.p, n.stop_url.p));
    assert_null(strstr(w.html.p, "<script>"));
    assert_non_null(strstr(w.html.p, "a=1&amp;s=2"));
    n.lang = LANG_EN;
    n.kind = STR("no such kind");
    assert_int_equal(notice_letter(arena, &n, &w), 0);
    assert_string_equal(w.subject.p, "News of appeal 67-2026-0000001-8");
    n.confirm = 1;
    assert_int_equal(notice_letter(arena, &n, &w), 0);
    assert_non_null(strstr(w.plain.p, n.confirm_url.p));
    assert_null(strstr(w.plain.p, n.track_url.p));
    assert_null(strstr(w.plain.p, "Департамент"));
}

static size_t characters(struct str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
    }
    return n;
}

static void a_message_is_cut_between_words_and_keeps_its_link(void **state)
{
    (void)state;
    enum { SIZE = 60000 };
    char *body = malloc(SIZE);
    assert_non_null(body);
    body[0] = '\0';
    for (size_t i = 0, at = 0; i < 2000; i++) {
        at += (size_t)snprintf(body + at, SIZE - at, "слово%zu ", i);
    }
    struct notice n = some_notice();
    n.body = str_of(body);
    for (size_t most = 60; most < 4200; most += 37) {
        struct arena *a = arena_new(16 << 20);
        struct str s = notice_message(a, &n, most);
        assert_non_null(s.p);
        assert_true(characters(s) <= most);
        assert_string_equal(s.p + s.n - n.track_url.n, n.track_url.p);
        const char *last = memrchr(s.p, '\n', s.n);
        /* What stands before the link is the beginning of the whole, up to a blank. */
        struct str whole = notice_message(a, &n, 100000);
        size_t kept = (size_t)(last - s.p);
        assert_memory_equal(s.p, whole.p, kept);
        assert_true(whole.p[kept] == ' ' || whole.p[kept] == '\n');
        arena_free(a);
    }
    assert_null(notice_message(arena, &n, 10).p);
    free(body);
}

static void keys_tell_subscriptions_apart(void **state)
{
    (void)state;
    const char *secret = "0123456789abcdef0123456789abcdef";
    struct str a = STR("01a211fd-ee34-757a-8bea-82763455a983"),
               b = STR("01a211fd-ee34-757a-8bea-82763455a984");
    char key[NOTICE_KEY + 1], other[NOTICE_KEY + 1], code[20], id[37], again[37];
    assert_int_equal(notice_key(secret, 67, a, key), 0);
    assert_int_equal(strlen(key), NOTICE_KEY);
    assert_true(notice_key_good(secret, 67, a, str_of(key)));
    assert_false(notice_key_good(secret, 90, a, str_of(key)));
    assert_false(notice_key_good(secret, 67, b, str_of(key)));
    assert_false(notice_key_good("another secret of 32 letters ....", 67, a, str_of(key)));
    for (size_t i = 0; i < NOTICE_KEY; i++) {
        memcpy(other, key, sizeof key);
        other[i] = other[i] == '0' ? '1' : '0';
        assert_false(notice_key_good(secret, 67, a, str_of(other)));
    }
    assert_false(notice_key_good(secret, 67, a, (struct str){ key, NOTICE_KEY - 1 }));
    assert_false(notice_key_good(secret, 67, a, STR("")));
    assert_int_equal(notice_code(secret, 67, a, code), 0);
    assert_int_equal(strlen(code), 19);
    assert_int_equal(notice_id(secret, STR("67-2026-0000001-8"), STR("a@b.example"), id), 0);
    assert_int_equal(notice_id(secret, STR("67-2026-0000001-8"), STR("a@b.example"), again), 0);
    assert_string_equal(id, again);
    assert_int_equal(id[14], '8');
    assert_int_equal(notice_id(secret, STR("67-2026-0000002-8"), STR("a@b.example"), again), 0);
    assert_string_not_equal(id, again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_letter_has_its_form, setup, teardown),
        cmocka_unit_test_setup_teardown(long_cyrillic_names_are_folded_between_characters, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(nothing_written_becomes_a_header, setup, teardown),
        cmocka_unit_test_setup_teardown(hostile_addresses_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(long_bodies_keep_short_lines, setup, teardown),
        cmocka_unit_test_setup_teardown(a_notice_says_what_there_is, setup, teardown),
        cmocka_unit_test_setup_teardown(a_message_is_cut_between_words_and_keeps_its_link, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(keys_tell_subscriptions_apart, setup, teardown),
    };
    if (notice_load("web") != 0) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
