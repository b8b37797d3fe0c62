#!/usr/bin/env node
// Resets a token by any command, and hears from the daemon what became of the mail (docs/protocol.md).
//
//     socket.mjs ADDRESS USERNAME COMMAND [ARGUMENT...]
//
// ADDRESS is the mailbox's, as the configuration names it. Needs a running `fetch-token daemon` and nothing else.
import { spawn } from "node:child_process";
import { connect } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";

const PROTOCOL = 2;
const [address, username, command, ...args] = process.argv.slice(2);

const fail = (why) => {
  console.error(why);
  process.exit(1);
};

const stream = connect(join(process.env.XDG_RUNTIME_DIR, "fetch-token", "daemon.sock"));
stream.on("error", (error) => fail(`the daemon cannot be reached: ${error.message}`));
stream.setTimeout(300_000, () => fail("no token in time"));

let greeted = false;
let hasReset = false;
for await (const line of createInterface({ input: stream })) {
  const answer = JSON.parse(line);
  if (!greeted) {
    greeted = true;
    if (answer.protocol !== PROTOCOL) {
      fail(`the daemon speaks protocol ${answer.protocol}, this program ${PROTOCOL}`);
    }
    const request = { watch: { account: address, begin: "now" } };
    stream.write(`${JSON.stringify({ protocol: PROTOCOL, request })}\n`);
    continue;
  }
  if (answer.refused) fail(answer.refused);
  const { armed, receipt, failed } = answer.news ?? {};
  if (armed && !hasReset) {
    hasReset = true;
    spawn(command, args, { stdio: "inherit" }).on("exit", (code) => code && fail(`the reset failed (${code})`));
  }
  if (receipt?.username === username) {
    console.log(`${receipt.event}: ${username}, mail of ${receipt.date}`);
    if (["stored", "already"].includes(receipt.event)) process.exit(0);
  }
  if (failed) fail(failed.sentence);
}
fail("the daemon ended");
