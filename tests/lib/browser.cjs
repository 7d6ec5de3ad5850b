// What the browser tests share: Debian's Chromium, TAP, accessibility rules.
'use strict';
const { execFileSync } = require('node:child_process');
const { mkdirSync } = require('node:fs');
const { join } = require('node:path');
const { chromium } = require('playwright-core');
const { source: axeSource } = require('axe-core');

const url = process.env.OTKLIK_URL;
const shots = join(process.env.OTKLIK_BUILD ?? 'build', 'shots');
mkdirSync(shots, { recursive: true });

let count = 0;
let failed = 0;

/** One line of TAP. */
function ok(good, name, details) {
  count++;
  failed += good ? 0 : 1;
  console.log(`${good ? 'ok' : 'not ok'} ${count} - ${name}`);
  if (!good && details !== undefined) {
    for (const line of (typeof details === 'string' ? details : JSON.stringify(details, null, 2)).split('\n')) console.log(`# ${line}`);
  }
  return good;
}

function is(got, wanted, name) {
  return ok(JSON.stringify(got) === JSON.stringify(wanted), name, `got ${JSON.stringify(got)}, wanted ${JSON.stringify(wanted)}`);
}

/** Opens pages and tells what went wrong in them: errors of scripts, what the policy refused, requests to other hosts. */
async function openPage(browser, options = {}) {
  const context = await browser.newContext({ locale: 'ru-RU', ...options });
  const page = await context.newPage();
  const wrong = [];
  page.on('pageerror', (error) => wrong.push(`error: ${error.message}`));
  page.on('console', (message) => {
    // The browser reports every 4xx there, too; those are tested as answers.
    if (message.type() === 'error' && !message.text().startsWith('Failed to load resource')) wrong.push(message.text());
  });
  page.on('request', (request) => {
    if (!request.url().startsWith(url)) wrong.push(`elsewhere: ${request.url()}`);
  });
  return { context, page, wrong };
}

/** Waits until the page's script is at work. */
async function ready(page) {
  await page.waitForSelector('html[data-script=ready]');
}

/** Rules of WCAG 2.2 A and AA that the page breaks. */
async function accessibility(page) {
  await page.evaluate(axeSource);
  const found = await page.evaluate(() =>
    // eslint-disable-next-line no-undef
    axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }));
  return found.violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.target.join(' ')).join(', ')}`);
}

/** Is there anything to scroll to sideways? */
async function overflow(page) {
  return page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
}

async function shot(page, name) {
  await page.screenshot({ path: join(shots, `${name}.png`), fullPage: true });
}

/** Rows of a query, columns by | and rows by newline, asked as the owner. */
function sql(query) {
  return execFileSync('psql', ['--no-psqlrc', '--quiet', '--no-align', '--tuples-only', '--set=ON_ERROR_STOP=1', '--username=otklik_owner',
    `--command=${query}`], { encoding: 'utf8' }).trim();
}

/** Asks until it gives something, for ten seconds; then gives what it gave last. */
async function until(ask, seconds = 10) {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const value = await ask();
    if (value || Date.now() > end) { return value; }
    await new Promise((resolve) => { setTimeout(resolve, 100); });
  }
}

/** Runs the tests with a browser and ends with the plan. */
async function run(tests) {
  const browser = await chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update',
      '--disable-sync'],
  });
  try {
    await tests(browser);
  } catch (error) {
    ok(false, 'the test came to its end', String(error.stack));
  } finally {
    await browser.close();
  }
  console.log(`1..${count}`);
  process.exit(failed === 0 ? 0 : 1);
}

module.exports = { accessibility, is, ok, openPage, overflow, ready, run, shot, sql, until, url };
