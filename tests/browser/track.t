#!/usr/bin/env node
// A resident reads the answer, marks it, opens the letter again and closes it; wide and narrow, with scripts and without, by keyboard alone.
'use strict';
const { execFileSync } = require('node:child_process');
const { join } = require('node:path');
const { accessibility, is, ok, openPage, overflow, ready, run, shot, url } = require('../lib/browser.cjs');

const dir = process.env.OTKLIK_TEST_DIR;
const tag = `${process.pid}-${Date.now()}`;
const key = execFileSync(join(dir, 'app/bin/otklik'), ['keys', 'add', '--file', join(dir, 'etc/keys'), '--subject', `body-${tag}`, '--roles', 'integrator', '--region',
  '90', '--scopes', 'appeals:answer'], { encoding: 'utf8' }).trim();
// A PNG of one dot.
const png = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==', 'base64');

async function until(what, name) {
  for (let tries = 0; tries < 150; tries++) {
    const found = await what();
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`waited in vain for ${name}`);
}

async function seen(page, letter) {
  return (await page.request.get(`${url}/api/v1/appeals/${letter.number}?code=${letter.code}`)).json();
}

/** A letter that a body has. */
async function letterAtBody(page) {
  const answer = await page.request.post(`${url}/api/v1/appeals`, {
    headers: { 'X-Api-Key': process.env.OTKLIK_API_KEY, 'Idempotency-Key': `"track-${tag}-${Math.random()}"` },
    data: { text: `Во дворе третий день не горит фонарь, ${tag}`, theme: 'light.street', point: { lat: 57.8, lon: 61.2 } },
  });
  const letter = await answer.json();
  await until(async () => (await seen(page, letter)).status === 'routed', 'routing');
  return letter;
}

async function told(page, letter, status, fields) {
  const multipart = { service_request_id: letter.number, status, ...fields };
  const answer = await until(async () => {
    const a = await page.request.post(`${url}/open311/v2/servicerequestupdates.json`, { headers: { 'X-Api-Key': key }, multipart });
    return a.status() === 403 ? null : a; // the edge reads keys once a second
  }, 'the key');
  ok(answer.ok(), `the body's system says ${status}`, await answer.text());
}

function address(letter) { return `${url}/track?lang=ru&number=${letter.number}&code=${letter.code}`; }

async function open(page, letter, javaScriptEnabled) {
  await page.goto(address(letter));
  if (javaScriptEnabled) await ready(page);
}

run(async (browser) => {
  for (const [width, height] of [[1280, 900], [390, 844]]) {
    for (const javaScriptEnabled of [true, false]) {
      const how = `${width} px, ${javaScriptEnabled ? 'with' : 'without'} scripts`;
      const name = `track-${width}-${javaScriptEnabled ? 'script' : 'plain'}`;
      const { context, page, wrong } = await openPage(browser, { viewport: { width, height }, javaScriptEnabled });
      const check = async (what) => {
        if (javaScriptEnabled) is(await accessibility(page), [], `${how}: ${what}: keeps the rules of WCAG 2.2 AA`);
        ok((await overflow(page)) <= 0, `${how}: ${what}: nothing to scroll to sideways`);
        await shot(page, `${name}-${what.replace(/ /g, '-')}`);
      };
      const letter = await letterAtBody(page);
      await told(page, letter, 'in_progress', { description: 'Бригада выехала. Нужна лампа, её привезут.', 'attribute[promised_on]': '2027-03-01' });
      await open(page, letter, javaScriptEnabled);
      ok((await page.textContent('.replies')).includes('второй срок продолжает идти'), `${how}: an interim answer says that the second clock runs on`);
      ok((await page.textContent('.replies')).includes('1 марта 2027'), `${how}: the promised day`);
      is(await page.locator('#verdict').count(), 0, `${how}: there is nothing to mark yet`);
      await check('interim');

      await told(page, letter, 'fixed', { description: 'Лампу заменили, фонарь горит.', media: { name: 'фонарь.png', mimeType: 'image/png', buffer: png } });
      await until(async () => (await seen(page, letter)).answers[0].files[0].state === 'ready', 'the photo to be cleaned');
      await open(page, letter, javaScriptEnabled);
      is((await page.textContent('.badge')).trim(), 'Дан ответ', `${how}: it is answered`);
      await page.locator('.reply-final img').scrollIntoViewIfNeeded();
      ok(await until(() => page.locator('.reply-final img').evaluate((i) => i.complete && i.naturalWidth === 1), 'the photo'), `${how}: the proof can be seen`);
      is(await page.locator('label[for=m5]').evaluate((label) => getComputedStyle(label).borderTopWidth), '0px', `${how}: a choice is one box`);
      await check('answered');

      await page.click('label[for=solved_no]');
      await page.click('label[for=m2]');
      await page.fill('#comment', 'Вечером снова погас.');
      await page.click('#judge');
      await page.waitForURL(/thanks=1/);
      if (javaScriptEnabled) await ready(page);
      ok((await page.textContent('#thanks')).includes('снова открыто'), `${how}: thanks, and what comes of it`);
      is(await page.evaluate(() => document.activeElement.id), 'thanks', `${how}: and it is where a screen reader begins`);
      await until(async () => (await seen(page, letter)).due, 'the new deadlines');
      await open(page, letter, javaScriptEnabled);
      is((await page.textContent('.badge')).trim(), 'Открыто заново', `${how}: it is open again`);
      ok((await page.textContent('.state')).includes('Прежние сроки'), `${how}: the former deadlines stay visible`);
      ok((await page.textContent('.replies')).includes('Вечером снова погас.'), `${how}: what was said of the answer`);
      is(await page.locator('#verdict').count(), 0, `${how}: nothing more to mark`);
      await check('reopened');

      await told(page, letter, 'closed', { description: 'Заменили и кабель.', 'attribute[reason]': 'explained' });
      await open(page, letter, javaScriptEnabled);
      // By keyboard alone: to the form with Tab, choices with the arrows and blank, sent with Enter.
      await page.focus('.case a, .case button, .case summary, .case [tabindex="0"]').catch(() => {});
      for (let i = 0; i < 60 && (await page.evaluate(() => document.activeElement.id)) !== 'solved_yes'; i++) await page.keyboard.press('Tab');
      is(await page.evaluate(() => document.activeElement.id), 'solved_yes', `${how}: the keyboard reaches the question`);
      await page.keyboard.press('Space');
      await page.keyboard.press('Tab');
      await page.keyboard.press('Space');
      await page.keyboard.press('ArrowDown');
      await page.keyboard.press('Tab');
      await page.keyboard.press('Tab');
      is(await page.evaluate(() => document.activeElement.id), 'judge', `${how}: and the button`);
      await page.keyboard.press('Enter');
      await page.waitForURL(/thanks=1/);
      if (javaScriptEnabled) await ready(page);
      is((await page.textContent('.badge')).trim(), 'Решено', `${how}: solved, by keyboard`);
      is((await seen(page, letter)).answers[0].verdict, { at: (await seen(page, letter)).answers[0].verdict.at, mark: 4, solved: true }, `${how}: the mark is what was chosen`);
      await check('closed');
      await page.reload();
      is((await seen(page, letter)).events.filter((e) => e.kind === 'verdict').length, 2, `${how}: to load it again judges nothing`);
      is(wrong, [], `${how}: no error, nothing refused by the policy, nothing from other hosts`);
      await context.close();
    }
  }

  // ---- new deadlines come by themselves, and disturb nobody
  {
    const { context, page } = await openPage(browser, { viewport: { width: 1280, height: 900 }, permissions: ['clipboard-read', 'clipboard-write'] });
    const letter = await letterAtBody(page);
    await told(page, letter, 'fixed', { description: 'Лампу заменили.', 'attribute[reason]': 'explained' });
    await open(page, letter, true);
    await page.click('label[for=solved_no]');
    await page.click('label[for=m1]');
    await page.click('#judge');
    await page.waitForURL(/thanks=1/);
    await until(async () => (await seen(page, letter)).due, 'the new deadlines');
    // The page as it is before they are counted, however quick routing was.
    let drawn = 0;
    await page.route('**/track?*', async (route) => {
      const answer = await route.fetch();
      const body = await answer.text();
      await route.fulfill({ response: answer, body: drawn++ === 0 ? body.replace('<div id="appeal"', '$& data-counting') : body });
    });
    await page.goto(`${address(letter)}&thanks=1`);
    await ready(page);
    await page.fill('#notices_email', 'anna@example.org');
    await page.click('label[for=notices_consent]');
    await page.focus('#notices_email');
    await page.waitForSelector('#appeal:not([data-counting])');
    ok((await page.textContent('#live')).includes('Открыто заново'), 'the page with new deadlines is shown by itself and says so');
    ok(await page.locator('.leaf').count() === 2, 'with both of them');
    is([await page.inputValue('#notices_email'), await page.isChecked('#notices_consent'), await page.evaluate(() => document.activeElement.id)],
      ['anna@example.org', true, 'notices_email'], 'what was typed meanwhile stays, and where');
    await page.click('#copy');
    is(await page.evaluate(() => navigator.clipboard.readText()), address(letter), 'the link that is copied thanks nobody');
    await context.close();
  }

  // ---- two columns, whatever there is to show: what follows begins where the one before ends
  {
    const { context, page } = await openPage(browser, { viewport: { width: 1280, height: 900 } });
    const letter = await letterAtBody(page);
    const gaps = () => page.evaluate(() => {
      const left = [...document.querySelectorAll('.case > .sheet:not(.way)')].map((e) => e.getBoundingClientRect());
      return left.slice(1).map((box, i) => Math.round(box.top - left[i].bottom));
    });
    await open(page, letter, true);
    is(await gaps(), [20, 20], 'state, words and notices stand close');
    await told(page, letter, 'in_progress', { description: 'Ждём кабель.' });
    await open(page, letter, true);
    is(await gaps(), [20, 20, 20], 'with an answer');
    await told(page, letter, 'closed', { description: 'Заменили.', 'attribute[reason]': 'explained' });
    await open(page, letter, true);
    is(await gaps(), [20, 20, 20, 20], 'with the question of what it was worth');
    await context.close();
  }

  // ---- without the browser's own checks: what is missing is named
  {
    const { context, page } = await openPage(browser, { viewport: { width: 390, height: 844 }, javaScriptEnabled: true });
    const letter = await letterAtBody(page);
    await told(page, letter, 'no_further_action', { description: 'Фонарь не наш.', 'attribute[reason]': 'other_owner' });
    await open(page, letter, true);
    await page.evaluate(() => { document.querySelector('#verdict form').noValidate = true; });
    await page.fill('#comment', 'А чей?');
    await page.click('#judge');
    await page.waitForSelector('#verdict .summary');
    await ready(page);
    is(await page.locator('#verdict .summary li').allTextContents(), ['скажите, решена ли проблема', 'выберите оценку от 1 до 5'], 'question and mark are named as they stand');
    ok(await page.locator('#solved_error').isVisible() && await page.locator('#mark_error').isVisible(), 'and beside each what is missing');
    is(await page.inputValue('#comment'), 'А чей?', 'what was written stays');
    is(await accessibility(page), [], 'the page with errors keeps the rules');
    await shot(page, 'track-390-errors');
    await page.click('.langs a[lang=en]');
    ok((await page.textContent('.reply')).includes('it belongs to another owner'), 'the reason in English');
    await shot(page, 'track-390-english');

    await told(page, await letterAtBody(page), 'planned', { description: 'Деньги будут весной.', 'attribute[reason]': 'no_money', 'attribute[promised_on]': '2027-04-15' });
    const other = await letterAtBody(page);
    await told(page, other, 'planned', { description: 'Деньги будут весной.', 'attribute[reason]': 'no_money', 'attribute[promised_on]': '2027-04-15' });
    await open(page, other, true);
    ok((await page.textContent('.state')).includes('15 апреля 2027'), 'until when it is postponed');
    ok((await page.textContent('.way')).includes('в этом году нет денег'), 'and why');
    await shot(page, 'track-390-postponed');
    const late = await letterAtBody(page);
    execFileSync('psql', ['--no-psqlrc', '--quiet', '--username=otklik_owner',
      `--command=update appeal set first_due_at = now() - interval '3 days', final_due_at = now() - interval '1 day' where number = '${late.number}'`]);
    await open(page, late, true);
    ok((await page.textContent('#late')).includes('Срок результата прошёл'), 'overdue is said plainly');
    is(await accessibility(page), [], 'and keeps the rules');
    await shot(page, 'track-390-late');
    await context.close();
  }
});
