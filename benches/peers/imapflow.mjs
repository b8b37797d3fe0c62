// Waits by IDLE for a token mail and stores its token: imapflow's event, and secret-tool, as no keychain for Node is
// kept up.
//
// Arguments: MODULES PORT ADDRESS PASSWORD-FILE CA-FILE

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const [modules, port, user, passwordFile, caFile] = process.argv.slice(2);
const { ImapFlow } = createRequire(`${modules}/`)('imapflow');
const pair = /^Username: (\S+)\s+Security token \(case-sensitive\): (\S+)/m;

async function store(username, token) {
    const attributes = ['service', 'salesforce-security-token', 'username', username];
    const tool = spawn('secret-tool', ['store', '--label=Salesforce security token', ...attributes], {
        stdio: ['pipe', 'ignore', 'inherit'],
    });
    tool.stdin.end(token);
    await once(tool, 'close');
}

const client = new ImapFlow({
    host: 'localhost',
    port: Number(port),
    secure: true,
    auth: { user, pass: readFileSync(passwordFile, 'utf8') },
    tls: { ca: readFileSync(caFile) },
    logger: false,
});
await client.connect();
await client.mailboxOpen('INBOX');
client.on('exists', async ({ prevCount }) => {
    for await (const mail of client.fetch(`${prevCount + 1}:*`, { source: true })) {
        const found = pair.exec(mail.source.toString());
        if (found) await store(found[1], found[2]);
    }
});
for (;;) await client.idle();
