#!/usr/bin/env node
// A registrar types in letters one after the other, by keyboard, with the key given once a tab.
'use strict';
const { execFileSync } = require('node:child_process');
const { accessibility, is, ok, openPage, overflow, ready, run, shot, url } = require('../lib/browser.cjs');

const tag = `${process.pid}-${Date.now()}`;
const made = execFileSync(`${process.env.OTKLIK_BUILD}/bin/otklik`, ['keys', 'add', '--file', `${process.env.OTKLIK_TEST_DIR}/etc/keys`, '--subject', `registrar-${process.pid}`,
  '--roles', 'registrar', '--scopes', 'desk', '--region', '90'], { encoding: 'utf8' });
const key = /otk_\w+/.exec(made)[0];

run(async (browser) => {
  const { context, page, wrong } = await openPage(browser, { viewport: { width: 1280, height: 900 } });
  // Each worker of the edge reads the keys for itself.
  for (let known = 0; known < 8;) {
    const answer = await page.request.post(`${url}/api/v1/desk/appeals`, { headers: { 'X-Api-Key': key }, data: {} });
    known = answer.status() === 401 ? 0 : known + 1;
  }
  await page.goto(`${url}/desk/entry?lang=ru`);
  await ready(page);
  ok(await page.isVisible('#key') && !(await page.isVisible('#text')), 'first the page asks for the key');
  is(await accessibility(page), [], 'and keeps the rules of WCAG 2.2 AA');
  await shot(page, 'entry_key');
  await page.fill('#key', 'otk_wrong');
  await page.keyboard.press('Enter');
  await page.check('#source_telephone');
  await page.fill('#text', 'Проверка ключа');
  await page.keyboard.press('Control+Enter');
  await page.waitForSelector('#key_error:not([hidden])');
  ok(await page.isVisible('#key'), 'a wrong key is asked for again');
  await page.fill('#key', key);
  await page.keyboard.press('Enter');
  await page.fill('#text', '');
  is(await page.inputValue('#key'), '', 'the key does not stay in the field');

  // ---- a meeting, by keyboard alone
  await page.focus('#source_telephone');
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press('ArrowRight');
  ok(await page.isChecked('#source_meeting'), 'arrows choose the source');
  await page.focus('#text');
  await page.keyboard.type(`Когда починят мост, письмо ${tag}`);
  await page.keyboard.press('Control+Enter');
  await page.waitForSelector('#summary:not([hidden])');
  ok((await page.locator('[aria-invalid=true]').count()) === 2, 'a meeting without its event is refused, with both fields named');
  is(await accessibility(page), [], 'errors keep the rules, too');
  await shot(page, 'entry_errors');
  await page.fill('#event_name', 'Встреча с главой округа');
  await page.fill('#event_at', '2026-11-20T18:30');
  await page.fill('#contact_name', 'Анна Петрова');
  await page.click('label[for=consent]');
  await page.keyboard.press('Control+Enter');
  await page.waitForSelector('#receipt:not([hidden])');
  const number = await page.textContent('#receipt_number');
  const code = await page.textContent('#receipt_code');
  ok(/^90-\d{4}-\d{7}-\d$/.test(number), 'the number is shown', number);
  is(await accessibility(page), [], 'the receipt keeps the rules');
  await shot(page, 'entry_receipt');
  const kept = await page.request.get(`${url}/api/v1/appeals/${number}?code=${code}`);
  is((await kept.json()).text, `Когда починят мост, письмо ${tag}`, 'number and code open what was typed');
  is([await page.inputValue('#text'), await page.inputValue('#contact_name'), await page.isChecked('#consent')], ['', '', false], 'the person is gone from the page');
  is([await page.isChecked('#source_meeting'), await page.inputValue('#event_name'), await page.inputValue('#event_at')], [true, 'Встреча с главой округа', '2026-11-20T18:30'],
    'source and event stay for the next one');
  await page.emulateMedia({ media: 'print' });
  ok(await page.isVisible('#receipt_code') && !(await page.isVisible('#form')), 'on paper there is only what the citizen needs');
  await shot(page, 'entry_print');
  await page.emulateMedia({ media: 'screen' });

  // ---- the next one, at once
  await page.focus('#next');
  await page.keyboard.press('Enter');
  await page.keyboard.type(`И второй мост, письмо ${tag}`);
  await page.keyboard.press('Control+Enter');
  await page.waitForSelector('#receipt:not([hidden])');
  ok((await page.textContent('#receipt_number')) !== number, 'the next letter is another one');
  await page.reload();
  await ready(page);
  ok(await page.isVisible('#text'), 'the key holds for the tab');
  const other = await context.newPage();
  await other.goto(`${url}/desk/entry?lang=ru`);
  await ready(other);
  ok(await other.isVisible('#key'), 'and for no other');
  await page.setViewportSize({ width: 390, height: 840 });
  is(await overflow(page), 0, 'on a phone nothing runs out of the page');
  await shot(page, 'entry_390');
  await page.click('#key_forget');
  ok(await page.isVisible('#key') && !(await page.isVisible('#text')), 'the key can be forgotten');
  is(wrong, [], 'no error, nothing refused by the policy, nothing from other hosts');
  await context.close();

  const plain = await openPage(browser, { javaScriptEnabled: false });
  await plain.page.goto(`${url}/desk/entry?lang=en`);
  ok(/signed in/.test(await plain.page.textContent('.no-script')), 'without a script and a session the page says what it needs');
  await plain.context.close();
});
