// Salesforce's mails, through a real mail transfer agent.
import { randomInt, randomUUID } from 'node:crypto';
import { createTransport } from 'nodemailer';

/** Mails from salesforce.com, signed, over SMTP to this port of this machine. */
export function postOffice(port, { selector, private_key: privateKey }) {
  const transport = createTransport({
    host: '127.0.0.1',
    port,
    ignoreTLS: true,
    dkim: { domainName: 'salesforce.com', keySelector: selector, privateKey },
  });
  const mail = (from, user, subject, lines) =>
    transport.sendMail({
      from,
      to: user.address,
      subject,
      messageId: `<${randomUUID()}@sfdc.net>`,
      textEncoding: 'quoted-printable',
      text: lines.join('\n'),
    });
  return {
    code: (user, code) =>
      mail('noreply@salesforce.com', user, 'Verify your identity in Salesforce', [
        'You recently attempted to log in to Salesforce from a browser or an app that we do not recognize.',
        '',
        `Username: ${user.username}`,
        `Verification Code: ${code}`,
        '',
        'If you did not try to log in, contact your Salesforce administrator.',
        '',
      ]),
    token: (user, token) =>
      mail('support@salesforce.com', user, 'Your new Salesforce security token', [
        "We've sent you a new Salesforce security token because you recently changed your password or",
        'requested to reset your security token.',
        '',
        `Username: ${user.username}`,
        `Security token (case-sensitive): ${token}`,
        '',
        'For more information on using your security token, see Salesforce Help.',
        '',
      ]),
    newToken,
  };
}

/** 24 or 25 letters and digits, of each kind one at least. */
function newToken() {
  const characters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
  for (;;) {
    const token = Array.from({ length: 24 + randomInt(2) }, () => characters[randomInt(characters.length)]).join('');
    if ([/[A-Z]/, /[a-z]/, /[0-9]/].every((kind) => kind.test(token))) return token;
  }
}
