// Stands in for Salesforce in the browser tests: its pages, on two origins as there, and its mails. Told on standard
// input, in one JSON object, what it is to be; tells on standard output, a JSON object a line, where it listens and
// what happens. Ends when its input ends, so that it cannot outlive its test.
import { createHash, randomBytes, randomInt, X509Certificate } from 'node:crypto';
import { createServer } from 'node:https';
import { text } from 'node:stream/consumers';
import { createInterface } from 'node:readline';
import * as pages from './pages.mjs';
import { postOffice } from './post.mjs';

const VERIFICATION = '/_ui/identity/verification/method/EmailVerificationFinishUi/e';
const EDIT = '/_ui/system/security/ResetApiTokenEdit';
const CONFIRM = '/_ui/system/security/ResetApiTokenConfirm';
const RESET_PAGE = '/lightning/settings/personal/ResetApiToken/home';

const tell = (event, more = {}) => console.log(JSON.stringify({ event, ...more }));

const input = createInterface({ input: process.stdin });
input.on('close', () => process.exit());
const config = JSON.parse((await input[Symbol.asyncIterator]().next()).value);
const { user } = config;
const post = postOffice(config.smtp_port, config.dkim);

/** Logins that lack their code, and sessions; by cookie. */
const pending = new Map();
const sessions = new Set();
const origin = {};

const secret = () => randomBytes(24).toString('hex');
const cookie = (name, value) => ({ 'set-cookie': `${name}=${value}; Path=/; Secure; HttpOnly; SameSite=Lax` });
const cookies = (request) => new URLSearchParams((request.headers.cookie ?? '').replaceAll('; ', '&'));
const page = (body, headers = {}) => ({ status: 200, body, headers });
const redirect = (location, headers = {}) => ({ status: 302, body: '', headers: { location, ...headers } });
const notFound = { status: 404, body: pages.notFound(), headers: {} };

async function logIn(form) {
  if (form.get('username') !== user.username || form.get('pw') !== user.password) {
    tell('login-refused');
    return page(pages.login('Please check your username and password.'));
  }
  if (config.code === 'not-asked') return enter();
  const code = String(randomInt(100_000, 999_999));
  const another = String(Number(code) + 1);
  const id = secret();
  pending.set(id, code);
  if (config.code !== 'not-mailed') await post.code(user, config.code === 'another-mailed' ? another : code);
  tell('code-asked', { code });
  return redirect(VERIFICATION, cookie('pending', id));
}

function enter() {
  const sid = secret();
  sessions.add(sid);
  tell('logged-in');
  return redirect(`${origin.lightning}/lightning/page/home`, cookie('sid', sid));
}

function verify(request, form) {
  const id = cookies(request).get('pending');
  const code = pending.get(id);
  // One try, as a code has one.
  pending.delete(id);
  if (code !== undefined && form.get('emc') === code) return enter();
  tell('code-refused');
  return page(pages.verification('Invalid or expired verification code. Try again.'));
}

async function reset(how) {
  const token = post.newToken();
  await post.token(user, token);
  tell('reset', { how, token });
  return page(pages.confirmation());
}

/** https://acme.my.salesforce.com */
async function classic(request, path, form) {
  if (path === '/') return request.method === 'POST' ? logIn(form) : page(pages.login());
  if (path === VERIFICATION) return request.method === 'POST' ? verify(request, form) : page(pages.verification());
  if (!sessions.has(cookies(request).get('sid'))) return redirect('/');
  if (path.startsWith('/lightning/')) return redirect(origin.lightning + path);
  if (path === EDIT && request.method === 'GET') return page(pages.resetButton(EDIT));
  if (path === EDIT && request.method === 'POST') return config.button_fails ? { ...notFound, status: 500 } : reset('button');
  // As at Salesforce: whoever opens it has reset the token.
  if (path === CONFIRM) return reset('confirm-page');
  return notFound;
}

/** https://acme.lightning.force.com */
async function lightning(request, path) {
  if (!sessions.has(cookies(request).get('sid'))) return redirect(`${origin.classic}/`);
  tell('page', { path });
  if (path === '/lightning/page/home') return page(pages.home(config.has_menu));
  if (path === '/lightning/settings/personal/PersonalInformation/home') return page(pages.settings(RESET_PAGE));
  if (path === RESET_PAGE) return page(pages.resetPage(origin.classic + EDIT));
  return notFound;
}

async function listen(site) {
  const server = createServer(config.tls, async (request, response) => {
    const { pathname } = new URL(request.url, 'https://localhost');
    try {
      const form = new URLSearchParams(await text(request));
      const { status, body, headers } = await site(request, pathname, form);
      response.writeHead(status, { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store', ...headers });
      response.end(body);
    } catch (error) {
      tell('trouble', { path: pathname, error: String(error) });
      response.writeHead(500).end();
    }
  });
  await new Promise((ready) => server.listen(0, '127.0.0.1', ready));
  return `https://localhost:${server.address().port}`;
}

origin.classic = await listen(classic);
origin.lightning = await listen(lightning);
// By this hash of its key Chromium trusts the certificate, and no other.
const key = new X509Certificate(config.tls.cert).publicKey.export({ type: 'spki', format: 'der' });
tell('listening', { instance: origin.classic, key_hash: createHash('sha256').update(key).digest('base64') });
