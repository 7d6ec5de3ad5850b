/* Is it an appeal, or chatter? By rules.
 *
 * Two mistakes are possible, and they do not weigh the same: chatter in the register costs a
 * moderator a glance, an appeal taken for chatter costs a resident the answer. So a text is put
 * aside only for what is plain: it says nothing, greets, thanks, or is too short to mean anything.
 * One word that asks for something, or a question mark, and it goes in. Beginnings of words stand
 * for all their forms, as in the themes' keywords; ё is е. */
#include "relevance.h"

#include <stddef.h>

enum {
    WORD_BYTES = 64,  /* of a word that are looked at */
    WORDS_MAX = 4000, /* of a text: longer ones are no chatter */
    SHORT = 3,        /* words; fewer say little */
    THANKS_MORE = 3   /* words beside thanks and greetings; with more, something else is said */
};

/* What somebody says who wants something. "!" behind a row: the whole word, not its beginning. */
static const char *const wants[] = {
    "авари",    "автобус",   "асфальт",   "батаре",    "больниц",  "бродяч",    "валя",
    "вода!",    "водопров",  "воды!",     "воду!",     "вон",      "восстанов", "врач",
    "где!",     "гололед",   "граффит",   "грязн",     "грязь!",   "двор!",     "дворе!",
    "демонтир", "дерев",     "доколе",    "дорога!",   "дороге!",  "дороги!",   "дорогу!",
    "дорожн",   "жалоб",     "жалу",      "закрас",    "замен",    "запах",     "зачем",
    "затоп",    "знак",      "канализ",   "когда!",    "колод",    "контейнер", "крыс",
    "крыш",     "куда!",     "лед!",      "лестниц",   "листв",    "лифт",      "луж",
    "люк",      "маршрут",   "мусор",     "надпис",    "налед",    "не!",       "невозмож",
    "незакон",  "неисправн", "необходим", "несанкц",   "неубран",  "неочищ",    "нельзя",
    "нет!",     "нету!",     "обращ",     "объявл",    "огражд",   "опасн",     "освещ",
    "остановк", "отключ",    "отоп",      "отремонт",  "отсутств", "очист",     "парадн",
    "парков",   "песочниц",  "плохо!",    "площадк",   "поврежд",  "подтоп",    "подъезд",
    "поликлин", "помог",     "починит",   "почему",    "прекрат",  "примите",   "провал",
    "провод",   "проблем",   "проверьт",  "просим",    "просит",   "просьб",    "протек",
    "прошу",    "разберит",  "разбит",    "реклам",    "ремонт",   "решет",     "садик",
    "свалк",    "светильн",  "светофор",  "сделайт",   "скольз",   "сколько!",  "слома",
    "снег",     "собак",     "сосул",     "темно!",    "тепл",     "теч",       "торгов",
    "трав",     "требу",     "тротуар",   "труб",      "убер",     "убор",      "убра",
    "удал",     "ужас",      "урн",       "установит", "устран",   "утечк",     "ухаб",
    "фонар",    "холодн",    "шлагбаум",  "школ",      "шум",      "яма!",      "ямк",
    "ямы!",     "ям!",       "broken",    "how!",      "not!",     "please",    "pothole",
    "rubbish",  "when!",     "where!",    "why!",      NULL,
};

static const char *const thanks[] = {
    "благодар", "браво",  "здорово!", "класс!",   "красив",   "круто!", "лучш",
    "молод",    "отличн", "поздрав",  "праздник", "прекрасн", "рады!",  "спасиб",
    "супер",    "ура!",   "congrat",  "great",    "thank",    NULL,
};

static const char *const greetings[] = {
    "hello!",  "hi!",      "there!",   "test!",      "вечер!", "всем!",    "день!",
    "доброе!", "доброго!", "добрый!",  "здравствуй", "привет", "времени!", "суток!",
    "тест!",   "утро!",    "коллеги!", "друзья!",    "вам!",   "и!",       NULL,
};

struct word {
    char p[WORD_BYTES];
    size_t n; /* bytes; a longer word is cut, its beginning is what counts */
};

/* A letter of S at AT as a small one in OUT; its length in S, 0 when it is no letter. Letters are
 * Latin and Cyrillic; other scripts count as letters that are no small ones. */
static size_t letter(struct str s, size_t at, char out[2], size_t *nout)
{
    unsigned char c = (unsigned char)s.p[at];
    unsigned char d = at + 1 < s.n ? (unsigned char)s.p[at + 1] : 0;
    if (c < 0x80) {
        int is = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        out[0] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
        *nout = 1;
        return is ? 1 : 0;
    }
    if (c < 0xC3 || c > 0xDF || d == 0) {
        return 0; /* signs of Latin-1, emoji, Chinese */
    }
    out[0] = (char)c;
    out[1] = (char)d;
    *nout = 2;
    if (c == 0xD0 && d >= 0x90 && d <= 0x9F) { /* А … П */
        out[1] = (char)(d + 0x20);
    } else if (c == 0xD0 && d >= 0xA0 && d <= 0xAF) { /* Р … Я */
        out[0] = (char)0xD1;
        out[1] = (char)(d - 0x20);
    } else if ((c == 0xD0 && d == 0x81) || (c == 0xD1 && d == 0x91)) { /* Ё ё */
        out[0] = (char)0xD0;
        out[1] = (char)0xB5;
    }
    return 2;
}

/* The next word from *at on; 0 at the end. */
static int next_word(struct str s, size_t *at, struct word *w)
{
    char small[2];
    size_t nsmall, n;
    while (*at < s.n && letter(s, *at, small, &nsmall) == 0) {
        (*at)++;
    }
    w->n = 0;
    while (*at < s.n && (n = letter(s, *at, small, &nsmall)) > 0) {
        if (w->n + nsmall <= sizeof w->p) {
            memcpy(w->p + w->n, small, nsmall);
            w->n += nsmall;
        }
        *at += n;
    }
    return w->n > 0;
}

static int in_list(const struct word *w, const char *const *list)
{
    for (; *list != NULL; list++) {
        size_t n = strlen(*list);
        int whole = (*list)[n - 1] == '!';
        n -= (size_t)whole;
        if (w->n >= n && memcmp(w->p, *list, n) == 0 && (!whole || w->n == n)) {
            return 1;
        }
    }
    return 0;
}

static int begins(struct str s, size_t at, const char *with)
{
    size_t n = strlen(with);
    return s.n - at >= n && memcmp(s.p + at, with, n) == 0;
}

/* Where what is not said by the author ends, if it begins at AT: a link, a name that is called
 * ("@town", "[id5|Anna]"), a command. AT when it does not. */
static size_t skipped(struct str s, size_t at)
{
    if (at > 0 && strchr(" \n\t(,", s.p[at - 1]) == NULL) {
        return at;
    }
    size_t end = at;
    if (begins(s, at, "http://") || begins(s, at, "https://") || begins(s, at, "www.") ||
        begins(s, at, "@") || begins(s, at, "/")) {
        while (end < s.n && strchr(" \n\t", s.p[end]) == NULL) {
            end++;
        }
    } else if (begins(s, at, "[id") || begins(s, at, "[club") || begins(s, at, "[public")) {
        const char *close = memchr(s.p + at, ']', s.n - at);
        end = close == NULL ? at : (size_t)(close - s.p) + 1;
    }
    return end;
}

struct counts {
    size_t words, wants, thanks, greetings, polite, skipped;
    int question;
};

static void count_piece(struct str piece, struct counts *c)
{
    struct word w;
    size_t at = 0;
    c->question |= memchr(piece.p, '?', piece.n) != NULL;
    while (c->words < WORDS_MAX && next_word(piece, &at, &w)) {
        c->words++;
        c->wants += (size_t)in_list(&w, wants);
        int thanking = in_list(&w, thanks), greeting = in_list(&w, greetings);
        c->thanks += (size_t)thanking;
        c->greetings += (size_t)greeting;
        c->polite += (size_t)(thanking || greeting);
    }
}

static struct counts count(struct str s)
{
    struct counts c = { 0 };
    size_t from = 0, at = 0;
    while (at < s.n) {
        size_t end = skipped(s, at);
        if (end == at) {
            at++;
            continue;
        }
        count_piece((struct str){ s.p + from, at - from }, &c);
        c.skipped++;
        from = at = end;
    }
    count_piece((struct str){ s.p + from, at - from }, &c);
    return c;
}

const char *relevance_reason(struct str text)
{
    if (text.n == 0) {
        return "no_text";
    }
    struct counts c = count(text);
    if (c.words == 0 && c.skipped > 0) {
        return text.p[0] == '/' ? "command" : "link_only";
    }
    if (c.words == 0) {
        return "no_words";
    }
    if (c.greetings == c.words) {
        return "greeting";
    }
    if (c.question || c.wants > 0) {
        return NULL;
    }
    if (c.thanks > 0 && c.words - c.polite <= THANKS_MORE) {
        return "thanks";
    }
    return c.words < SHORT ? "too_short" : NULL;
}
