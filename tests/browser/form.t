#!/usr/bin/env node
// A resident fills the form in a real browser and follows the number; by mouse, by keyboard, on a phone, without JavaScript, with the network away.
'use strict';
const { accessibility, is, ok, openPage, overflow, ready, run, shot, url } = require('../lib/browser.cjs');

const tag = `${process.pid}-${Date.now()}`;
const phone = { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true };

async function stored(page, number, code) {
  const answer = await page.request.get(`${url}/api/v1/appeals/${number}?code=${code}`);
  return answer.ok() ? answer.json() : null;
}

run(async (browser) => {
  // ---- by mouse, on a wide screen
  {
    const { context, page, wrong } = await openPage(browser, { viewport: { width: 1280, height: 900 } });
    await page.goto(`${url}/?lang=ru`);
    await ready(page);
    is(await page.title(), 'Напишите, что случилось – Отклик', 'the form comes in Russian');
    is(await accessibility(page), [], 'the form keeps the rules of WCAG 2.2 AA');
    await shot(page, 'form');
    await page.fill('#text', `Во дворе третий день не горит фонарь, письмо ${tag}`);
    await page.fill('#address', 'Садовая, 12');
    await page.click('#coords summary');
    await page.fill('#point_lat', '57,8');
    await page.fill('#point_lon', '61,2');
    await page.selectOption('#theme', 'light.street');
    await page.fill('#contact_name', 'Анна');
    await page.fill('#contact_email', 'anna@example.org');
    await page.click('label[for=consent]');
    await page.click('#send');
    await page.waitForURL(/\/track\?/);
    await ready(page);
    const number = await page.textContent('.stamp div:first-child dd');
    const code = await page.textContent('#code');
    ok(/^90-\d{4}-\d{7}-\d$/.test(number), 'the number is shown', number);
    await page.waitForSelector('#appeal:not([data-status=captured])', { timeout: 10_000 });
    ok(true, 'the page finds out by itself that the letter has moved on');
    ok((await page.textContent('.due-title')).length > 0, 'and shows by when to expect an answer');
    await page.click('.arithmetic summary');
    ok((await page.locator('.arithmetic tbody tr').count()) > 1, 'with every step of the count');
    is(await accessibility(page), [], 'the way of a letter keeps the rules, too');
    await shot(page, 'track');
    const appeal = await stored(page, number, code);
    is([appeal.text, appeal.address, appeal.theme.code, appeal.point.lat], [`Во дворе третий день не горит фонарь, письмо ${tag}`, 'Садовая, 12', 'light.street', 57.8],
      'what was typed is what is stored');
    await page.goto(`${url}/`);
    await ready(page);
    is(await page.inputValue('#text'), '', 'the form is empty again: no draft of what was taken');
    is(wrong, [], 'no error, nothing refused by the policy, nothing from other hosts');
    await context.close();
  }

  // ---- with a photo and a document, with and without scripts
  for (const javaScriptEnabled of [true, false]) {
    const how = javaScriptEnabled ? 'with scripts' : 'without scripts';
    const { context, page, wrong } = await openPage(browser, { javaScriptEnabled });
    await page.goto(`${url}/?lang=ru`);
    if (javaScriptEnabled) { await ready(page); }
    // A PNG of one dot.
    const png = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==', 'base64');
    await page.fill('#text', `Яма у подъезда ${how}, снимок приложен ${tag}`);
    await page.setInputFiles('#files', [
      { name: 'двор.png', mimeType: 'image/png', buffer: png },
      { name: 'акт.pdf', mimeType: 'application/pdf', buffer: Buffer.from(`%PDF-1.4\n${tag} ${how}\n%%EOF\n`) },
    ]);
    await page.click('#send');
    await page.waitForURL(/\/track\?/);
    for (let tries = 0; tries < 50 && (await page.locator('.files a').count()) < 2; tries++) {
      await page.waitForTimeout(200);
      await page.reload();
    }
    if (javaScriptEnabled) { await ready(page); }
    const image = page.locator('.files img');
    is([await image.count(), await image.getAttribute('alt')], [1, 'Снимок: двор.png'], `${how}: the photo stands in the page, with its words`);
    await image.scrollIntoViewIfNeeded();
    await page.waitForFunction(() => { const i = document.querySelector('.files img'); return i.complete && i.naturalWidth === 1; }, null, { timeout: 5000 }).catch(() => {});
    ok(await image.evaluate((i) => i.naturalWidth === 1), `${how}: and can be seen`);
    ok((await page.textContent('.files')).includes('Документ PDF: акт.pdf'), `${how}: the document can be fetched`);
    ok((await page.textContent('.route')).includes('Приложены файлы'), `${how}: the way of the letter tells of them`);
    if (javaScriptEnabled) {
      is(await accessibility(page), [], 'the way of a letter with files keeps the rules');
      await page.goto(`${url}/`);
      await ready(page);
      is(await page.inputValue('#text'), '', 'no draft is left of what went out with files');
    }
    is(wrong, [], `${how}: no error, nothing refused by the policy`);
    await context.close();
  }

  // ---- the number typed by hand
  {
    const { context, page } = await openPage(browser);
    await page.goto(`${url}/track?lang=en`);
    await ready(page);
    is(await accessibility(page), [], 'asking for number and code keeps the rules');
    await page.fill('#number', '90-2026-0000001-0');
    await page.fill('#code', 'AAAA-AAAA-AAAA-AAAA');
    await page.click('button[type=submit]');
    ok(await page.locator('[role=alert]').isVisible(), 'a wrong number is told in words');
    is(await page.inputValue('#number'), '90-2026-0000001-0', 'and stays to be mended');
    is(await accessibility(page), [], 'in an accessible way');
    await context.close();
  }

  // ---- by keyboard alone, in English
  {
    const { context, page } = await openPage(browser, { viewport: { width: 1280, height: 900 }, locale: 'en-GB' });
    await page.goto(`${url}/`);
    await ready(page);
    is(await page.getAttribute('html', 'lang'), 'en', 'the language of the browser is taken');
    await page.keyboard.press('Tab');
    is(await page.evaluate(() => document.activeElement.className), 'skip', 'the first stop leads past the head of the page');
    await page.keyboard.press('Enter');
    const stops = [];
    for (let i = 0; i < 30 && !stops.includes('send'); i++) {
      await page.keyboard.press('Tab');
      const id = await page.evaluate(() => document.activeElement.id);
      stops.push(id);
      ok(await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle !== 'none' || getComputedStyle(document.activeElement).boxShadow !== 'none'),
        `the focus is seen: ${id || (await page.evaluate(() => document.activeElement.textContent.trim()))}`);
      if (id === 'text') await page.keyboard.type(`The lamp is dark, letter ${tag}`);
    }
    ok(['text', 'address', 'theme', 'files', 'contact_name', 'send'].every((id) => stops.includes(id)), 'every field is reached', stops);
    await page.keyboard.press('Enter');
    await page.waitForURL(/\/track\?/);
    ok((await page.textContent('.said')).includes(tag), 'and the letter is sent');
    await context.close();
  }

  // ---- mistakes
  {
    const { context, page } = await openPage(browser, phone);
    await page.goto(`${url}/?lang=ru`);
    await ready(page);
    await page.fill('#contact_name', 'Анна');
    await page.click('#send');
    ok(await page.locator('#summary').isVisible(), 'an empty letter is not sent');
    is(await page.evaluate(() => document.activeElement.id), 'summary', 'the focus goes to what is wrong');
    is(await page.getAttribute('#text', 'aria-invalid'), 'true', 'the field is marked');
    is(await page.getAttribute('#consent', 'aria-invalid'), 'true', 'and the consent that is missing');
    is(await accessibility(page), [], 'the mistakes are told in an accessible way');
    await shot(page, 'form-errors-phone');
    await page.fill('#text', `Исправлено ${tag}`);
    await page.fill('#contact_name', '');
    await page.click('#coords summary');
    await page.fill('#point_lat', '95');
    await page.fill('#point_lon', '61');
    await page.click('#send');
    await page.waitForSelector('#point_lat[aria-invalid=true]');
    ok(true, 'what only the server knows is shown beside its field');
    await page.fill('#point_lat', '57.8');
    await page.click('#send');
    await page.waitForURL(/\/track\?/);
    ok(true, 'and mended');
    await context.close();
  }

  // ---- a phone
  for (const [name, path] of [['form', '/'], ['track', '/track'], ['no page', '/no-such-page']]) {
    for (const colorScheme of ['light', 'dark']) {
      const { context, page, wrong } = await openPage(browser, { ...phone, colorScheme });
      await page.goto(`${url}${path}`);
      is(await overflow(page), 0, `${name}, ${colorScheme}: fits a narrow screen`);
      is(await accessibility(page), [], `${name}, ${colorScheme}: keeps the rules`);
      is(wrong, [], `${name}, ${colorScheme}: no error`);
      await shot(page, `${name.replace(' ', '-')}-phone-${colorScheme}`);
      await context.close();
    }
  }

  // ---- without JavaScript
  {
    const { context, page } = await openPage(browser, { ...phone, javaScriptEnabled: false });
    await page.goto(`${url}/?lang=ru`);
    await page.click('#send');
    ok(await page.locator('#text_error').isVisible(), 'without JavaScript the server marks the field');
    await page.fill('#text', `Без сценариев ${tag}`);
    await page.click('#send');
    await page.waitForURL(/\/track\?/);
    ok((await page.textContent('.said')).includes(`Без сценариев ${tag}`), 'and takes the letter');
    await context.close();
  }

  // ---- the network goes away
  {
    const { context, page } = await openPage(browser, phone);
    await page.goto(`${url}/?lang=ru`);
    await ready(page);
    await page.fill('#text', `Сеть пропала ${tag}`);
    await page.waitForTimeout(600);
    await page.reload();
    await ready(page);
    is(await page.inputValue('#text'), `Сеть пропала ${tag}`, 'a draft outlives a reload');
    // The answer of the first try is lost after the letter has been stored.
    let tries = 0;
    const keys = new Set();
    await page.route('**/api/v1/appeals', async (route) => {
      tries++;
      keys.add(route.request().headers()['idempotency-key']);
      if (tries === 1) {
        await route.fetch();
        await route.abort();
      } else {
        await route.continue();
      }
    });
    await page.click('#send');
    await page.waitForURL(/\/track\?/, { timeout: 20_000 });
    ok(tries >= 2, 'a lost answer is asked for again', `${tries} tries`);
    is(keys.size, 1, 'with the same key');
    const number = await page.textContent('.stamp div:first-child dd');
    const first = Number(number.slice(8, 15));
    const before = await page.request.get(`${url}/api/v1/themes`);
    ok(before.ok() && first > 0, 'and the letter has its number', number);
    await context.close();
  }
});
