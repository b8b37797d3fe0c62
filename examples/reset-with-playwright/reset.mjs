#!/usr/bin/env node
// Resets a Salesforce security token in a browser with nobody at the keyboard. Started by fetch-token, which stores
// the token that comes of it:
//
//   fetch-token run me@acme.example -- node reset.mjs --instance https://acme.my.salesforce.com me@acme.example
//
// README.md says what it needs, where the password comes from and what the statuses mean.
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { chromium } from 'playwright-core';

const usage = `usage: reset.mjs --instance URL [--browser FILE] [--browser-arg ARG]... USERNAME [-- CMD ARG...]
CMD prints the password; by default: secret-tool lookup service salesforce-password username USERNAME`;

// Opening this page resets nothing; its button does. The page behind the button, ResetApiTokenConfirm, resets as soon
// as it is opened, so it must never be gone to.
const RESET_PAGE = '/lightning/settings/personal/ResetApiToken/home';
const PAGE_PATIENCE = 30_000;
const MENU_PATIENCE = 15_000;

/** What ends the walk, with the status for whoever started it. */
class Failure extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}
const badUsage = (why) => new Failure(2, `${why}\n${usage}`);
const loginRefused = (why) => new Failure(20, why);
const noCode = (why) => new Failure(21, why);
const otherPage = (why) => new Failure(22, why);

const say = (words) => process.stderr.write(`reset: ${words}\n`);

function readArguments() {
  let values, tokens;
  try {
    ({ values, tokens } = parseArgs({
      allowPositionals: true,
      tokens: true,
      options: {
        instance: { type: 'string' },
        browser: { type: 'string', default: '/usr/bin/chromium' },
        'browser-arg': { type: 'string', multiple: true, default: [] },
      },
    }));
  } catch (error) {
    throw badUsage(error.message);
  }
  const end = tokens.find((token) => token.kind === 'option-terminator')?.index ?? Infinity;
  const words = tokens.filter((token) => token.kind === 'positional');
  const [username, ...more] = words.filter((token) => token.index < end).map((token) => token.value);
  const command = words.filter((token) => token.index > end).map((token) => token.value);
  if (!username || more.length > 0) throw badUsage('exactly one USERNAME is needed');
  if (!URL.canParse(values.instance ?? '')) throw badUsage('--instance takes a URL such as https://acme.my.salesforce.com');
  const instance = new URL(values.instance);
  if (instance.protocol !== 'https:') throw badUsage('--instance must begin with https:// for the password goes there');
  return {
    username,
    instance,
    browser: values.browser,
    browserArguments: values['browser-arg'],
    passwordCommand:
      command.length > 0 ? command : ['secret-tool', 'lookup', 'service', 'salesforce-password', 'username', username],
  };
}

/** What a program prints, without the last line end. Its complaints go where ours go. */
function outputOf([program, ...args], failure) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    const end = () => child.kill();
    process.once('exit', end);
    const chunks = [];
    child.stdout.on('data', (chunk) => chunks.push(chunk));
    child.on('error', (error) => reject(failure(`${program} cannot be started (${error.code})`)));
    child.on('close', (status, signal) => {
      process.off('exit', end);
      const text = Buffer.concat(chunks).toString('utf8').replace(/\r?\n$/, '');
      if (status === 0 && text !== '') resolve(text);
      else reject(failure(status === 0 ? `${program} printed nothing` : `${program} ended with ${status ?? signal}`));
    });
  });
}

/** Asks until there is an answer; `undefined` where none comes in time. */
async function until(look, within = PAGE_PATIENCE) {
  for (const end = Date.now() + within; Date.now() < end; await delay(100)) {
    // A page that is just being replaced cannot be asked.
    const found = await look().catch(() => undefined);
    if (found) return found;
  }
  return undefined;
}

/** Where the page is, without its query: that may hold a session. */
function place(page) {
  const { origin, pathname } = new URL(page.url());
  return origin + pathname;
}

/** Does what leads to another page, and waits until that is there. */
async function go(page, act) {
  await Promise.all([page.waitForEvent('framenavigated', (frame) => frame === page.mainFrame()), act()]);
  await page.waitForLoadState('domcontentloaded');
}

/** Which of the pages on the way in this is. */
async function station(page) {
  if (await page.locator('#emc').isVisible()) return 'code';
  if (await page.locator('#password').isVisible()) return 'login';
  return /^\/(lightning|home|setup)\//.test(new URL(page.url()).pathname) ? 'inside' : undefined;
}

async function logIn(page, { username, instance, password }) {
  // The code's mail may come before we ask for it: what counts is what arrives after this point.
  const cursor = await outputOf(['fetch-token', 'arm', username], noCode);
  say(`logging in at ${instance.host}`);
  await page.goto(instance.href);
  await page.locator('#username').fill(username);
  await page.locator('#password').fill(password);
  await go(page, () => page.locator('#Login').click());
  let now = await until(() => station(page));
  if (now === 'login') throw loginRefused('username and password were refused; nothing was reset');
  if (now === 'code') {
    say('asked for a verification code, waiting for its mail');
    const code = await outputOf(['fetch-token', 'code', username, '--from', cursor], noCode);
    await page.locator('#emc').fill(code);
    await go(page, () => page.locator('#emc').press('Enter'));
    now = await until(() => station(page));
    if (now === 'code' || now === 'login') throw noCode('the verification code was refused; nothing was reset');
  }
  if (now !== 'inside') throw otherPage(`after the login came ${place(page)}, which is not known; nothing was reset`);
}

/** Settings, My Personal Information, Reset My Security Token, as a person goes there. */
async function walkTheMenu(page) {
  await page.getByRole('button', { name: 'View profile' }).click({ timeout: MENU_PATIENCE });
  await page.getByRole('link', { name: 'Settings', exact: true }).click({ timeout: MENU_PATIENCE });
  const entry = page.getByRole('link', { name: 'Reset My Security Token' });
  const group = page.getByRole('treeitem', { name: 'My Personal Information' });
  await entry.or(group).first().waitFor({ timeout: MENU_PATIENCE });
  if (!(await entry.isVisible())) await group.getByRole('button').first().click({ timeout: MENU_PATIENCE });
  await entry.click({ timeout: MENU_PATIENCE });
}

async function openResetPage(page, { instance }) {
  try {
    await walkTheMenu(page);
  } catch (error) {
    if (error.name !== 'TimeoutError') throw error;
    say('the menu is not as expected, opening the page itself');
    await page.goto(new URL(RESET_PAGE, instance).href);
  }
}

/** Presses the button, once. It is in a frame, and the page has others. */
async function pressButton(page) {
  const found = await until(async () => {
    for (const frame of page.frames()) {
      const button = frame.getByRole('button', { name: 'Reset Security Token' });
      if (await button.isVisible()) return { frame, button };
    }
  });
  if (!found) throw otherPage(`${place(page)} shows no button "Reset Security Token"; nothing was reset`);
  const { frame, button } = found;
  const [answer] = await Promise.all([
    page.waitForResponse((response) => response.request().isNavigationRequest() && response.frame() === frame),
    button.click(),
  ]);
  const confirmed = answer.status() < 400 && (await until(async () => !(await button.isVisible())));
  if (!confirmed) throw otherPage(`the button was pressed, and Salesforce did not confirm it (${answer.status()})`);
  say('pressed the button');
}

async function main() {
  const wanted = readArguments();
  const password = await outputOf(wanted.passwordCommand, loginRefused);
  const browser = await chromium
    .launch({
      executablePath: wanted.browser,
      args: wanted.browserArguments,
      chromiumSandbox: true,
      // Signals end us below, and the browser with us.
      handleSIGHUP: false,
      handleSIGINT: false,
      handleSIGTERM: false,
    })
    .catch((error) => {
      throw otherPage(`${wanted.browser} cannot be started: ${firstLine(error)}`);
    });
  try {
    const page = await browser.newPage({ locale: 'en-US' });
    page.setDefaultTimeout(PAGE_PATIENCE);
    await logIn(page, { ...wanted, password });
    await openResetPage(page, wanted);
    await pressButton(page);
  } finally {
    await browser.close();
  }
}

// What Playwright says below its first line repeats what was typed, a password too.
const firstLine = (error) => error.message.split('\n', 1)[0];

for (const signal of ['SIGHUP', 'SIGINT', 'SIGTERM']) {
  process.once(signal, () => process.exit(128 + constants.signals[signal]));
}
try {
  await main();
} catch (error) {
  say(error instanceof Failure ? error.message : firstLine(error));
  process.exitCode = error instanceof Failure ? error.status : 22;
}
