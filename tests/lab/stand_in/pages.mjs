// The pages, made up after public descriptions of Salesforce's: ids, labels and the order are theirs, the rest is not.

const document = (title, body) => `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>${title} | stand-in</title><link rel="icon" href="data:,"></head>
<body>${body}</body></html>`;

const error = (words) => (words ? `<div id="error" class="loginError">${words}</div>` : '');

export const login = (trouble) =>
  document(
    'Login',
    `${error(trouble)}<form method="post" action="/">
<label>Username <input id="username" name="username" type="email"></label>
<label>Password <input id="password" name="pw" type="password"></label>
<input id="Login" type="submit" value="Log In"></form>`,
  );

export const verification = (trouble) =>
  document(
    'Verify Your Identity',
    `<h2>Verify Your Identity</h2>${error(trouble)}<form method="post">
<label>Verification Code <input id="emc" name="emc" maxlength="6"></label>
<label><input type="checkbox" checked> Don't ask again</label>
<input id="save" type="submit" value="Verify"></form>`,
  );

const header = `<header><button id="avatar">View profile</button>
<div id="panel" hidden><a href="/lightning/settings/personal/PersonalInformation/home">Settings</a></div></header>
<script>
  avatar.onclick = () => setTimeout(() => { panel.hidden = !panel.hidden; }, 100);
</script>`;

export const home = (hasMenu) => document('Home', `${hasMenu ? header : ''}<h1>Home</h1>`);

export const settings = (resetPage) =>
  document(
    'Settings',
    `${header}<ul role="tree"><li role="treeitem" aria-label="My Personal Information" aria-expanded="false" id="group">
<button id="expand">Expand</button> My Personal Information
<ul role="group" id="entries" hidden>
<li role="treeitem"><a href="/lightning/settings/personal/PersonalInformation/home">Personal Information</a></li>
<li role="treeitem"><a href="${resetPage}">Reset My Security Token</a></li></ul></li></ul>
<script>
  expand.onclick = () => { entries.hidden = false; group.ariaExpanded = 'true'; };
</script>`,
  );

/** The button is in a frame of the other origin, which comes late, beside a frame that has nothing to do with it. */
export const resetPage = (button) =>
  document(
    'Reset My Security Token',
    `${header}<iframe title="elsewhere" srcdoc="<p>Nothing here.</p>"></iframe><main></main>
<script>
  setTimeout(() => {
    const frame = document.createElement('iframe');
    frame.title = 'Reset My Security Token';
    frame.src = ${JSON.stringify(button)};
    document.querySelector('main').append(frame);
  }, 300);
</script>`,
  );

export const resetButton = (action) =>
  document(
    'Reset Security Token',
    `<p>When you reset your security token, the old one no longer works.</p>
<form method="post" action="${action}"><input type="submit" value="Reset Security Token"></form>`,
  );

export const confirmation = () => document('Security Token Sent', '<p>Your new security token was sent by email.</p>');

export const notFound = () => document('Not found', '<p>Not found.</p>');
