#!/usr/bin/env node
// Photos made smaller in the browser, a challenge solved unseen, a letter that waits for the network; each stored once.
'use strict';
const { execFileSync } = require('node:child_process');
const { mkdtempSync, readFileSync, rmSync } = require('node:fs');
const { tmpdir } = require('node:os');
const { join } = require('node:path');
const { accessibility, is, ok, openPage, overflow, ready, run, shot, sql, until, url } = require('../lib/browser.cjs');

const tag = `${process.pid}-${Date.now()}`;
const screens = [
  ['wide', { viewport: { width: 1280, height: 900 } }],
  ['phone', { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true }],
];
const folder = mkdtempSync(join(tmpdir(), 'otklik-photos-'));
const at = (name) => join(folder, name);
const vips = (...args) => execFileSync('vips', args, { cwd: folder });

// A large photo, lying on its side, as a telephone writes it: 3,600 × 2,700 of noise, 4 MB, with time and place.
function makePhoto() {
  vips('gaussnoise', 'grain.v', '1800', '1350', '--mean', '128', '--sigma', '40');
  vips('resize', 'grain.v', 'large.v', '2');
  vips('bandjoin', 'large.v large.v large.v', 'three.v');
  vips('cast', 'three.v', 'bytes.v', 'uchar');
  vips('jpegsave', 'bytes.v', 'yard.jpg', '--Q', '95');
  execFileSync('exiftool', ['-q', '-overwrite_original', '-Orientation#=6', '-DateTimeOriginal=2026:11:20 10:00:00', '-GPSLatitude=57.8', '-GPSLatitudeRef=N',
    '-GPSLongitude=61.2', '-GPSLongitudeRef=E', at('yard.jpg')]);
  return readFileSync(at('yard.jpg'));
}

const lettersWith = (text) => Number(sql(`select count(*) from appeal where region_id = 90 and text = '${text}'`));

async function open(browser, options) {
  const opened = await openPage(browser, options);
  await opened.page.goto(`${url}/?lang=ru`);
  await ready(opened.page);
  return opened;
}

run(async (browser) => {
  const photo = makePhoto();
  ok(photo.length > 2 * 1024 * 1024, 'the photo of the test is large', photo.length);

  for (const [name, screen] of screens) {
    const { context, page, wrong } = await open(browser, screen);
    const text = `Снимок двора ${tag} ${name}`;
    await page.fill('#text', text);

    // ---- photos
    await page.setInputFiles('#files', [
      { name: 'двор.jpg', mimeType: 'image/jpeg', buffer: photo },
      { name: 'акт.pdf', mimeType: 'application/pdf', buffer: Buffer.from(`%PDF-1.4\n${tag} ${name}\n%%EOF\n`) },
      { name: 'кот.gif', mimeType: 'image/gif', buffer: Buffer.from('GIF89a') },
    ]);
    await page.waitForSelector('.photo:nth-child(2)');
    await page.waitForSelector('.photo canvas');
    is(await page.locator('.photo canvas').getAttribute('aria-label'), 'Снимок двор.jpg', `${name}: a photo is shown, with words for those who do not see it`);
    await page.waitForSelector('#files_error:not([hidden])');
    ok((await page.textContent('#files_error')).includes('кот.gif'), `${name}: what will not do is named`);
    is(await accessibility(page), [], `${name}: photos keep the rules`);
    is(await overflow(page), 0, `${name}: and fit`);
    await shot(page, `photos-${name}`);
    await page.click('.photo:nth-child(2) .photo-remove');
    is(await page.locator('.photo').count(), 1, `${name}: one press takes a file away`);
    await page.waitForTimeout(600);
    await page.reload();
    await ready(page);
    is([await page.inputValue('#text'), await page.locator('.photo').count()], [text, 1], `${name}: text and photo outlive a reload`);

    // ---- sent with a solved challenge
    let paid = 0;
    page.on('request', (request) => { paid += request.method() === 'POST' && request.headers()['x-altcha'] ? 1 : 0; });
    await page.click('#send');
    await page.waitForURL(/\/track\?/, { timeout: 30_000 });
    const number = await page.textContent('.stamp div:first-child dd');
    const id = `(select id from appeal where region_id = 90 and number = '${number}')`;
    is([paid, sql(`select auth from appeal where region_id = 90 and number = '${number}'`)], [1, 'challenge'], `${name}: the letter came with a solved challenge`);
    is(sql(`select count(*), min(media_type), max(size) < ${photo.length} from attachment where region_id = 90 and appeal_id = ${id}`), '1|image/jpeg|t',
      `${name}: with one photo, smaller than it was`);
    const kept = execFileSync('find', [join(process.env.OTKLIK_TEST_DIR, 'files', 'originals'), '-name', `${sql(`select id from attachment where region_id = 90 and appeal_id = ${id}`)}*`],
      { encoding: 'utf8' }).trim();
    const [facts] = JSON.parse(execFileSync('exiftool', ['-json', '-n', '-ImageWidth', '-ImageHeight', '-Orientation', '-DateTimeOriginal', '-GPSLatitude', kept], { encoding: 'utf8' }));
    is([facts.ImageWidth, facts.ImageHeight, facts.Orientation], [1920, 2560, 1], `${name}: at most 2,560 pixels, upright`);
    is([facts.DateTimeOriginal, facts.GPSLatitude], ['2026:11:20 10:00:00', 57.8], `${name}: the staff still see when and where it was taken`);
    is(lettersWith(text), 1, `${name}: one letter is stored`);
    is(wrong, [], `${name}: no error, nothing refused by the policy, nothing from other hosts`);

    // ---- without a network, and back
    await page.goto(`${url}/?lang=ru`);
    await ready(page);
    is(await page.inputValue('#text') + await page.locator('.photo').count(), '0', `${name}: nothing is left of the draft`);
    await page.evaluate(() => navigator.serviceWorker.ready.then(() => true));
    const waiting = `Нет сети, но есть что сказать ${tag} ${name}`;
    await context.setOffline(true);
    await page.reload();
    await ready(page);
    is(await page.title(), 'Напишите, что случилось – Отклик', `${name}: without a network the form still opens`);
    await page.fill('#text', waiting);
    await page.setInputFiles('#files', [{ name: 'акт.pdf', mimeType: 'application/pdf', buffer: Buffer.from(`%PDF-1.4\n${waiting}\n%%EOF\n`) }]);
    await page.waitForSelector('.photo');
    await page.click('#send');
    await page.waitForSelector('#sending_actions:not([hidden])');
    ok((await page.textContent('#sending_text')).startsWith('Связи с сервером нет'), `${name}: the page says that it waits`);
    is(await accessibility(page), [], `${name}: waiting keeps the rules`);
    await shot(page, `offline-${name}`);
    await page.reload();
    await ready(page);
    await page.waitForSelector('#sending_actions:not([hidden])');
    ok(true, `${name}: a letter that waits goes on waiting after a reload`);
    is(lettersWith(waiting), 0, `${name}: nothing is stored yet`);
    await context.setOffline(false);
    await page.waitForURL(/\/track\?/, { timeout: 30_000 });
    await page.waitForTimeout(1000);
    is(lettersWith(waiting), 1, `${name}: when the network is back there is exactly one letter`);
    is(sql(`select count(*) from attachment t join appeal a on a.region_id = t.region_id and a.id = t.appeal_id where a.region_id = 90 and a.text = '${waiting}'`), '1',
      `${name}: with its file`);
    await context.close();
  }

  // ---- the page is closed before the network is back
  {
    const { context, page } = await open(browser, screens[0][1]);
    const worker = await page.request.get(`${url}/sw.js`);
    is([worker.headers()['cache-control'], /otklik-[0-9a-f]{12}"/.test(await worker.text())], ['no-cache', true], 'the worker has a version and is asked for anew each time');
    const cdp = await context.newCDPSession(page);
    const registered = new Promise((resolve) => {
      cdp.on('ServiceWorker.workerRegistrationUpdated', ({ registrations }) => {
        const ours = registrations.find(({ scopeURL }) => scopeURL === `${url}/`);
        if (ours) { resolve(ours.registrationId); }
      });
    });
    await cdp.send('ServiceWorker.enable');
    await page.evaluate(() => navigator.serviceWorker.ready.then(() => true));
    const registrationId = await registered;
    const text = `Закрыл страницу и ушёл ${tag}`;
    await page.fill('#text', text);
    await context.setOffline(true);
    await page.click('#send');
    await page.waitForSelector('#sending_actions:not([hidden])');
    is(lettersWith(text), 0, 'a letter waits while its page is looked at: that one sends it');
    await page.goto('about:blank');
    await context.setOffline(false);
    // What the browser does by itself when it has a network again.
    await cdp.send('ServiceWorker.dispatchSyncEvent', { origin: url, registrationId, tag: 'letter', lastChance: false });
    ok(await until(() => lettersWith(text) === 1), 'when it is closed the worker sends it');
    // The database is quicker than the answer: a page that opens in between would ask for it itself.
    await page.goto(`${url}/track`);
    ok(await until(() => page.evaluate(() => import('/assets/form/store.js').then(({ state }) => state('receipt')))), 'and keeps the receipt');
    await page.goto(`${url}/?lang=ru`);
    await page.waitForSelector('#receipt:not([hidden])');
    is(await page.textContent('#receipt_number'), sql(`select number from appeal where region_id = 90 and text = '${text}'`), 'and the page shows its number the next time');
    is(await accessibility(page), [], 'in an accessible way');
    await shot(page, 'sent-while-away');
    await page.reload();
    await ready(page);
    is([await page.inputValue('#text'), await page.locator('#receipt').isVisible(), lettersWith(text)], ['', false, 1], 'once');
    await context.close();
  }

  // ---- no challenge can be had: the slow lane
  {
    const { context, page } = await open(browser, screens[0][1]);
    await page.route('**/api/v1/challenge', (route) => route.abort());
    const text = `Без задачи ${tag}`;
    await page.fill('#text', text);
    await page.click('#send');
    await page.waitForURL(/\/track\?/);
    is(sql(`select auth from appeal where region_id = 90 and text = '${text}'`), 'anonymous', 'without a challenge the letter goes by the slow lane');
    await context.close();
  }

  // ---- what may be done with it
  {
    const { context, page } = await open(browser, screens[1][1]);
    ok(await page.locator('#consent').isHidden(), 'consent is asked for only when there is something to consent to');
    const text = `Пишите мне ${tag}`;
    await page.fill('#text', text);
    await page.fill('#contact_email', 'anna@example.org');
    await page.click('label[for=notify]');
    await page.click('label[for=public]');
    await page.click('#send');
    is(await page.getAttribute('#consent', 'aria-invalid'), 'true', 'and is needed then');
    await page.click('label[for=consent]');
    await page.click('#send');
    await page.waitForURL(/\/track\?/);
    is(sql(`select notify, public from appeal where region_id = 90 and text = '${text}'`), 't|t', 'notices and showing the text are wishes of their own');
    await context.close();
  }

  // ---- without JavaScript
  {
    const { context, page } = await openPage(browser, { ...screens[1][1], javaScriptEnabled: false });
    await page.goto(`${url}/?lang=ru`);
    const text = `Без сценариев и с почтой ${tag}`;
    await page.fill('#text', text);
    await page.fill('#contact_email', 'anna@example.org');
    await page.click('label[for=notify]');
    await page.click('#send');
    ok(await page.locator('#consent_error').isVisible(), 'without JavaScript the server asks for the consent');
    ok(await page.isChecked('#notify'), 'and keeps what was marked');
    await page.click('label[for=consent]');
    await page.click('#send');
    await page.waitForURL(/\/track\?/);
    is(sql(`select notify, public, auth from appeal where region_id = 90 and text = '${text}'`), 't|f|anonymous', 'then takes the letter by the slow lane');
    await context.close();
  }

  rmSync(folder, { recursive: true });
});
