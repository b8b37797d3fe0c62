#!/usr/bin/env node
// Queries Salesforce by jsforce, with password and security token out of the keychain.
//
//     query-with-jsforce.js USERNAME [https://test.salesforce.com]
//
// Needs the packages jsforce and @napi-rs/keyring, and no fetch-token while it runs. The password lies in the
// keychain as the service salesforce-password.
const jsforce = require('jsforce');
const { Entry } = require('@napi-rs/keyring');

function secret(service, username) {
  const value = new Entry(service, username).getPassword();
  if (value === null) throw new Error(`the keychain has no ${service} for ${username}`);
  return value;
}

async function main(username, loginUrl = 'https://login.salesforce.com') {
  const connection = new jsforce.Connection({ loginUrl });
  const password = secret('salesforce-password', username);
  const token = secret('salesforce-security-token', username);
  // jsforce has no parameter for the token: it follows the password, with nothing between them.
  await connection.login(username, password + token);
  const { records } = await connection.query('SELECT Id, Name FROM Account LIMIT 1');
  for (const account of records) console.log(account.Id, account.Name);
}

main(...process.argv.slice(2)).catch((error) => {
  console.error(error.message);
  process.exit(1);
});
