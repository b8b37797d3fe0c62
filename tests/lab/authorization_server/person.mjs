// A person with a browser: opens a page of the authorization server, logs in, and agrees or refuses.
//
//   node person.mjs PAGE NAME agrees|refuses
//
// Prints the title of the last page. It keeps cookies, follows redirects (also to the loopback port of the program that
// waits for it), and fills in the first form of each page.
const [page, name, mood] = process.argv.slice(2);
const jar = new Map();
const text = (html) => html.replace(/&quot;/g, '"').replace(/&#x2F;/g, '/').replace(/&amp;/g, '&');

async function open(url, form) {
  for (;;) {
    const cookie = [...jar].map(([key, value]) => `${key}=${value}`).join('; ');
    const response = await fetch(url, {
      method: form ? 'POST' : 'GET',
      body: form,
      redirect: 'manual',
      headers: cookie ? { cookie } : {},
    });
    for (const line of response.headers.getSetCookie()) {
      const [, key, value] = /^([^=]+)=([^;]*)/.exec(line);
      if (value) jar.set(key, value);
      else jar.delete(key);
    }
    const next = response.headers.get('location');
    if (!next) return { url, html: await response.text() };
    url = new URL(next, url).href;
    form = undefined;
  }
}

const attribute = (tag, key) => {
  const found = new RegExp(`${key}="([^"]*)"`).exec(tag);
  return found && text(found[1]);
};

let { url, html } = await open(page);
let isLoggedIn = false;
for (let step = 0; step < 8; step += 1) {
  const form = /<form[^>]*>[\s\S]*?<\/form>/.exec(html)?.[0];
  if (!form) break;
  const refuse = /<a href="([^"]*abort)"/.exec(html)?.[1];
  if (mood === 'refuses' && isLoggedIn && refuse) {
    ({ url, html } = await open(new URL(text(refuse), url).href));
    continue;
  }
  const values = new URLSearchParams();
  for (const [input] of form.matchAll(/<(?:input|button)[^>]*name=[^>]*>/g)) {
    values.set(attribute(input, 'name'), attribute(input, 'value') ?? '');
  }
  if (values.has('abort') && mood !== 'refuses') values.delete('abort');
  if (values.has('login')) {
    values.set('login', name);
    values.set('password', 'any');
    isLoggedIn = true;
  }
  ({ url, html } = await open(new URL(attribute(form, 'action') ?? url, url).href, values));
}
console.log(/<title>([\s\S]*?)<\/title>/.exec(html)?.[1].trim());
