#!/usr/bin/env node
// Where it is: found in the list, pressed on the map, moved by keys, or only typed; and what neighbours have written of it already.
'use strict';
const { accessibility, is, ok, openPage, overflow, ready, run, shot, sql, until, url } = require('../lib/browser.cjs');

// Letters only: long numbers are taken for telephones and not shown.
const tag = `${process.pid}x${Date.now()}`.replace(/\d/g, (digit) => 'абвгдежзик'[digit]);
const screens = [
  ['wide', { viewport: { width: 1280, height: 900 } }],
  ['phone', { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true }],
];
const key = process.env.OTKLIK_API_KEY;

// A letter that neighbours may see, passed on already.
async function neighbour(page, text, lat, lon) {
  const answer = await page.request.post(`${url}/api/v1/appeals`, {
    headers: { 'X-Api-Key': key, 'Idempotency-Key': `near-${process.pid}-${Date.now()}` },
    data: { text, theme: 'light.street', point: { lat, lon }, public: true },
  });
  const { number, code } = await answer.json();
  await until(async () => (await (await page.request.get(`${url}/api/v1/appeals/${number}?code=${code}`)).json()).status === 'routed');
  return number;
}

async function open(browser, options) {
  const opened = await openPage(browser, options);
  await opened.page.goto(`${url}/?lang=ru`);
  await ready(opened.page);
  return opened;
}

run(async (browser) => {
  const [streets] = sql("select street from place where region_id = 90 and street <> '' and house = '' order by street limit 1").split('\n');
  const word = streets.split(' ').pop();

  for (const [name, screen] of screens) {
    // ---- search, by keyboard alone
    {
      const { context, page, wrong } = await open(browser, screen);
      await page.fill('#text', `Не горит фонарь ${tag} ${name}`);
      await page.focus('#address');
      await page.keyboard.type(word.toLowerCase());
      await page.waitForSelector('#places [role=option]');
      is(await page.getAttribute('#address', 'aria-expanded'), 'true', `${name}: the list of places opens while one types`);
      await page.keyboard.press('ArrowDown');
      const id = await page.getAttribute('#address', 'aria-activedescendant');
      is(await page.locator(`#${id}`).getAttribute('aria-selected'), 'true', `${name}: an arrow key chooses, and says so to those who listen`);
      is(await accessibility(page), [], `${name}: the open list keeps the rules`);
      await shot(page, `place-list-${name}`);
      const chosen = await page.locator(`#${id} .place-name`).textContent();
      await page.keyboard.press('Enter');
      ok((await page.inputValue('#address')).startsWith(chosen), `${name}: Enter takes it and does not send the letter`, await page.inputValue('#address'));
      ok(await page.locator('#point').isVisible(), `${name}: with its point`);
      await page.fill('#address', `${word.toLowerCase()} 9876б`);
      await page.waitForSelector('#places [role=option]');
      await page.keyboard.press('ArrowDown');
      await page.keyboard.press('Enter');
      ok(/, 9876б(,|$)/.test(await page.inputValue('#address')), `${name}: the number of a house that no list knows stays when its street is chosen`, await page.inputValue('#address'));
      await page.fill('#address', 'у старой мельницы');
      is(await page.inputValue('#point_lat'), '', `${name}: another address takes the point of the first away`);
      await page.keyboard.press('Escape');
      await page.click('#send');
      await page.waitForURL(/\/track\?/);
      const number = await page.textContent('.stamp div:first-child dd');
      is(sql(`select address, point is null from appeal where region_id = 90 and number = '${number}'`), 'у старой мельницы|t', `${name}: an address that no list knows is taken as it is`);
      is(wrong, [], `${name}: no error, nothing refused by the policy`);
      await context.close();
    }

    // ---- the map
    {
      const { context, page, wrong } = await open(browser, screen);
      const loaded = [];
      page.on('request', (request) => loaded.push(request.url()));
      ok(!loaded.some((link) => link.includes('leaflet')), `${name}: the map is not loaded before somebody wants it`);
      await page.click('#map_button');
      await page.waitForSelector('#map[data-map=ready]');
      ok(loaded.some((link) => link.endsWith('/vendor/leaflet.js')), `${name}: but then`);
      is(await page.locator('#map path.area').count(), Number(sql('select count(*) from municipality where region_id = 90')), `${name}: every municipality is drawn`);
      ok(/^\d+\sкм$/.test(await page.textContent('.leaflet-control-scale-line')), `${name}: the scale is in the page's language`, await page.textContent('.leaflet-control-scale-line'));
      const box = await page.locator('#map').boundingBox();
      const at = { position: { x: box.width / 2 + 20, y: box.height / 2 + 10 } };
      await (screen.hasTouch ? page.tap('#map', at) : page.click('#map', at));
      const lat = Number(await page.inputValue('#point_lat'));
      const lon = Number(await page.inputValue('#point_lon'));
      const area = sql(`select name_ru from municipality where region_id = 90 and st_covers(boundary, st_setsrid(st_makepoint(${lon}, ${lat}), 4326)) order by st_area(boundary) limit 1`);
      ok(area !== '' && (await page.textContent('#map_status')).includes(area), `${name}: the municipality of the mark is told`, `${lat} ${lon} ${area}`);
      is(await page.locator('#map path.area-chosen').count(), 1, `${name}: and drawn apart`);
      ok(await until(async () => (await page.inputValue('#address')) !== ''), `${name}: the empty address gets what is at the mark`);
      is(await accessibility(page), [], `${name}: the open map keeps the rules`);
      is(await overflow(page), 0, `${name}: and fits`);
      await shot(page, `map-${name}`);
      await page.focus('.map-mark');
      await page.keyboard.press('ArrowUp');
      ok(Number(await page.inputValue('#point_lat')) > lat, `${name}: an arrow key moves the mark north`);
      is(await page.inputValue('#point_lon'), lon.toFixed(6), `${name}: and nowhere else`);
      await page.fill('#text', `Яма, отмечена на карте ${tag} ${name}`);
      const wanted = [await page.inputValue('#point_lat'), await page.inputValue('#point_lon')].map(Number);
      await page.click('#send');
      await page.waitForURL(/\/track\?/);
      const number = await page.textContent('.stamp div:first-child dd');
      is(sql(`select st_y(point)::float8, st_x(point)::float8 from appeal where region_id = 90 and number = '${number}'`).split('|').map(Number), wanted, `${name}: the letter has the point of the mark`);
      is(wrong, [], `${name}: no error, nothing refused by the policy, nothing from other hosts`);
      await context.close();
    }

    // ---- neighbours
    {
      const { context, page, wrong } = await open(browser, screen);
      const lat = name === 'wide' ? 57.801 : 57.811;
      const said = `Не горит фонарь у второго подъезда, темно ${tag}`;
      const number = await neighbour(page, said, lat, 61.2);
      await page.fill('#text', 'У второго подъезда не горит фонарь, очень темно');
      await page.click('.chip[data-theme="light.street"]');
      is(await page.inputValue('#theme'), 'light.street', `${name}: one press takes the theme that is suggested`);
      ok(await page.locator('#themes_near').isHidden(), `${name}: then nothing more is suggested`);
      await page.click('#coords summary');
      await page.fill('#point_lat', String(lat + 0.0005));
      await page.fill('#point_lon', '61.2');
      const card = page.locator('.near-card', { hasText: said });
      await card.waitFor();
      ok(/отсюда/.test(await card.locator('.near-facts').textContent()), `${name}: a neighbour's letter is shown with how far it is`);
      is(await accessibility(page), [], `${name}: what is suggested keeps the rules`);
      is(await overflow(page), 0, `${name}: and fits`);
      await card.locator('.near-join').click();
      await shot(page, `near-${name}`);
      is(sql(`select joined from appeal where region_id = 90 and number = '${number}'`), '0', `${name}: one press is only a question`);
      await page.waitForTimeout(500);
      const letters = sql('select count(*) from appeal where region_id = 90');
      await card.locator('.near-sure .button').first().click();
      await page.waitForSelector('#receipt:not([hidden])');
      is(await page.evaluate(() => document.activeElement.id), 'receipt', `${name}: who joins gets a receipt`);
      is(await page.textContent('#receipt_number'), number, `${name}: with the number`);
      is(await accessibility(page), [], `${name}: which keeps the rules`);
      await shot(page, `joined-${name}`);
      is(sql(`select joined from appeal where region_id = 90 and number = '${number}'`), '1', `${name}: and counts`);
      is(sql('select count(*) from appeal where region_id = 90'), letters, `${name}: no second letter is stored`);
      await page.click('#receipt_link');
      await page.waitForURL(/\/track\?/);
      ok((await page.textContent('main')).includes(number), `${name}: the code of who joined opens the way of the letter`);
      await page.goto(`${url}/`);
      await ready(page);
      is(await page.inputValue('#text'), '', `${name}: the draft is gone`);
      is(wrong, [], `${name}: no error`);
      await context.close();
    }
  }

  // ---- joining fails: the draft stays
  {
    const { context, page } = await open(browser, screens[0][1]);
    const number = await neighbour(page, `Сломана лавочка у пруда ${tag}`, 57.821, 61.2);
    await page.route('**/join', (route) => route.abort());
    await page.fill('#text', 'Сломана лавочка у пруда, доски торчат');
    await page.selectOption('#theme', 'light.street');
    await page.click('#coords summary');
    await page.fill('#point_lat', '57.821');
    await page.fill('#point_lon', '61.2');
    await page.click('.near-card .near-join');
    await page.click('.near-card .near-sure .button');
    await until(async () => /Связи/.test(await page.textContent('.near-said')));
    is(sql(`select joined from appeal where region_id = 90 and number = '${number}'`), '0', 'without a network nobody joins');
    await page.reload();
    await ready(page);
    is(await page.inputValue('#text'), 'Сломана лавочка у пруда, доски торчат', 'and the draft is still there');
    await context.close();
  }
});
