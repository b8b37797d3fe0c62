// Starts to idle in an inbox with imapflow, and says so: HOST PORT USER PASSWORD_FILE. The authority that is trusted
// besides the usual ones stands in NODE_EXTRA_CA_CERTS. CommonJS, because modules ignore NODE_PATH.
const { readFileSync } = require("node:fs");
const { ImapFlow } = require("imapflow");

const [host, port, user, passwordFile] = process.argv.slice(2);
const client = new ImapFlow({
  host,
  port: Number(port),
  secure: true,
  auth: { user, pass: readFileSync(passwordFile, "utf8") },
  logger: false,
});

(async () => {
  await client.connect();
  await client.mailboxOpen("INBOX", { readOnly: true });
  const idling = client.idle();
  console.error("idling");
  await idling;
})();
