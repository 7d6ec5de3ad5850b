/* What an error code means to a client: one row an error. */
#include "problem.h"

#include "request.h"

static const struct problem problems[OTK_ERR_COUNT] = {
    [OTK_OK] = { 200, "none", { "", "" }, { "", "" }, 0 },
    [OTK_MALFORMED] = { 400,
                        "malformed",
                        { "Запрос не разобран", "Malformed request" },
                        { "Сервер не смог прочитать запрос.",
                          "The server could not read the request." },
                        0 },
    [OTK_INVALID] = { 422,
                      "invalid",
                      { "Проверьте поля", "Check the fields" },
                      { "Некоторые поля заполнены неверно.",
                        "Some fields are not filled in correctly." },
                      0 },
    [OTK_KEY_MISSING] = { 400,
                          "idempotency-key-missing",
                          { "Нужен ключ идемпотентности", "Idempotency-Key is missing" },
                          { "Передайте заголовок Idempotency-Key: от 1 до 255 видимых знаков "
                            "ASCII, свой для каждого обращения.",
                            "Send an Idempotency-Key header of 1 to 255 visible ASCII characters, "
                            "a new one for each appeal." },
                          0 },
    [OTK_KEY_REUSED] = { 422,
                         "idempotency-key-reused",
                         { "Ключ уже использован", "Idempotency-Key was used before" },
                         { "С этим ключом уже пришло другое обращение. Для нового обращения нужен "
                           "новый ключ.",
                           "Another appeal came with this key. A new appeal needs a new key." },
                         0 },
    [OTK_KEY_RUNNING] = { 409,
                          "idempotency-key-running",
                          { "Запрос ещё выполняется", "The request is still running" },
                          { "Первый запрос с этим ключом ещё не закончен. Повторите через секунду.",
                            "The first request with this key has not ended yet. Try again in a "
                            "second." },
                          1 },
    [OTK_NOT_FOUND] = { 404,
                        "not-found",
                        { "Не найдено", "Not found" },
                        { "По этому адресу ничего нет.", "There is nothing at this address." },
                        0 },
    [OTK_CLOSED] = { 409,
                     "closed",
                     { "Обращение закрыто", "The appeal is closed" },
                     { "Работа по нему закончена, присоединиться нельзя. Напишите новое.",
                       "Work on it has ended, so it cannot be joined. Write a new one." },
                     0 },
    [OTK_NOT_READY] = { 409,
                        "not-ready",
                        { "Ещё не готово", "Not ready yet" },
                        { "Файл ещё обрабатывается. Повторите через несколько секунд.",
                          "The file is still being prepared. Try again in a few seconds." },
                        2 },
    [OTK_NOT_ANSWERED] = { 409,
                           "not-answered",
                           { "Оценивать пока нечего", "Nothing to mark yet" },
                           { "Оценить можно окончательный ответ, а его ещё нет.",
                             "A final answer can be marked, and there is none yet." },
                           0 },
    [OTK_TOO_LATE] = { 409,
                       "too-late",
                       { "Срок оценки прошёл", "Too late for a mark" },
                       { "Срок, когда ответ можно оценить и открыть обращение заново, прошёл. "
                         "Напишите новое обращение.",
                         "The time to mark the answer and to open the letter again is over. Write "
                         "a new letter." },
                       0 },
    [OTK_METHOD] = { 405,
                     "method-not-allowed",
                     { "Метод не поддерживается", "Method not allowed" },
                     { "Этот адрес не принимает такой метод.",
                       "This address does not take that method." },
                     0 },
    [OTK_MEDIA_TYPE] = { 415,
                         "unsupported-media-type",
                         { "Формат не поддерживается", "Unsupported media type" },
                         { "Этот адрес принимает application/json и "
                           "application/x-www-form-urlencoded в UTF-8.",
                           "This address takes application/json and "
                           "application/x-www-form-urlencoded in UTF-8." },
                         0 },
    [OTK_TOO_LARGE] = { 413,
                        "too-large",
                        { "Слишком большой запрос", "Request too large" },
                        { "Тело запроса больше допустимого.",
                          "The body of the request is larger than allowed." },
                        0 },
    [OTK_UNAUTHORIZED] = { 401,
                           "unauthorized",
                           { "Нужен ключ доступа", "Unauthorized" },
                           { "Для этого адреса нужен ключ доступа.",
                             "This address needs a credential." },
                           0 },
    [OTK_FORBIDDEN] = { 403,
                        "forbidden",
                        { "Доступ запрещён", "Forbidden" },
                        { "У этого ключа нет права на такое действие.",
                          "This credential may not do that." },
                        0 },
    [OTK_BLOCKED] = { 403,
                      "blocked",
                      { "Приём приостановлен", "Blocked" },
                      { "Модератор приостановил приём обращений от этого отправителя. Можно "
                        "написать на бумаге или прийти на приём.",
                        "A moderator does not take letters of this sender for now. Write on paper "
                        "or come to a reception." },
                      0 },
    [OTK_QUOTA_ADDRESS] = { 429,
                            "quota-address",
                            { "На сегодня достаточно", "Enough for today" },
                            { "С этого сетевого адреса сегодня принято столько обращений, сколько "
                              "можно за день; завтра примем снова.",
                              "From this network address as many letters have come today as may in "
                              "a day; tomorrow more may." },
                            0 },
    [OTK_QUOTA_RESIDENT] = { 429,
                             "quota-resident",
                             { "На сегодня достаточно", "Enough for today" },
                             { "С этими контактными данными сегодня принято столько обращений, "
                               "сколько можно за день; завтра примем снова.",
                               "With this contact as many letters have come today as may in a day; "
                               "tomorrow more may." },
                             0 },
    [OTK_UNAVAILABLE] = { 503,
                          "unavailable",
                          { "Сервис недоступен", "Service unavailable" },
                          { "Сервис временно недоступен. Повторите запрос с тем же ключом "
                            "идемпотентности.",
                            "The service is unavailable for the moment. Try again with the same "
                            "idempotency key." },
                          2 },
    [OTK_FULL] = { 507,
                   "insufficient-storage",
                   { "Закончилось место", "Insufficient storage" },
                   { "На сервере закончилось место, обращение не сохранено. Повторите позже с тем же "
                     "ключом идемпотентности.",
                     "The server has run out of space, the appeal was not stored. Try again later "
                     "with the same idempotency key." },
                   60 },
    [OTK_INTERNAL] = { 500,
                       "internal",
                       { "Внутренняя ошибка", "Internal error" },
                       { "Сервер не справился с запросом. Мы уже знаем об этом.",
                         "The server failed on this request. We know of it already." },
                       0 },
};

const struct problem *problem_of(enum otk_err err)
{
    return &problems[(unsigned)err < OTK_ERR_COUNT ? err : OTK_INTERNAL];
}

const char *problem_text(enum otk_err err, enum lang lang)
{
    return problem_of(err)->detail[lang];
}
