// An authorization server on loopback: oidc-provider, with what a test has to do to it and see of it under /lab.
//
//   node server.mjs PORT
//
// Clients: `fetch-token`, public, and `dovecot`, which asks whether tokens count.
import Provider from 'oidc-provider';
import { generateKeyPairSync } from 'node:crypto';

const port = Number(process.argv[2]);
const issuer = `http://127.0.0.1:${port}`;
const key = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' });

// What the test sees and sets.
const lab = { lifetime: 3600, refreshed: 0, reused: 0, revoked: 0, issued: [], grants: new Set(), access: new Set() };

const provider = new Provider(issuer, {
  jwks: { keys: [{ ...key, kid: 'lab', alg: 'RS256', use: 'sig' }] },
  cookies: { keys: ['lab'] },
  clients: [
    {
      client_id: 'fetch-token',
      token_endpoint_auth_method: 'none',
      application_type: 'native',
      grant_types: ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code'],
      response_types: ['code'],
      // Any port of it is allowed (RFC 8252 section 7.3).
      redirect_uris: ['http://127.0.0.1'],
      scope: 'openid offline_access mail',
    },
    {
      client_id: 'dovecot',
      client_secret: 'lab-introspection',
      token_endpoint_auth_method: 'client_secret_basic',
      grant_types: [],
      response_types: [],
      redirect_uris: [],
    },
  ],
  scopes: ['openid', 'offline_access', 'mail'],
  claims: { openid: ['sub'] },
  pkce: { required: () => true },
  rotateRefreshToken: true,
  issueRefreshToken: (ctx, client, code) => code.scopes.has('offline_access'),
  ttl: {
    AccessToken: () => lab.lifetime,
    AuthorizationCode: 60,
    DeviceCode: 120,
    Grant: 86400,
    IdToken: 3600,
    Interaction: 600,
    RefreshToken: 86400,
    Session: 86400,
  },
  features: {
    devInteractions: { enabled: true },
    deviceFlow: { enabled: true },
    introspection: { enabled: true, allowedPolicy: () => true },
    revocation: { enabled: true },
  },
  findAccount: (ctx, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
});

provider.on('access_token.saved', (token) => lab.access.add(token.jti));
provider.on('grant.success', (ctx) => {
  const { grant_type: type } = ctx.oidc.params;
  if (type === 'refresh_token') lab.refreshed += 1;
  for (const name of ['access_token', 'refresh_token']) {
    if (ctx.body[name]) lab.issued.push(ctx.body[name]);
  }
  lab.grants.add(ctx.oidc.entities.Grant?.jti ?? ctx.oidc.entities.AccessToken?.grantId);
});
provider.on('grant.revoked', () => { lab.revoked += 1; });
provider.on('grant.error', (ctx, error) => {
  if (error.error_detail === 'refresh token already used') lab.reused += 1;
});

const orders = {
  '/lab/state': () => {},
  '/lab/lifetime': (query) => { lab.lifetime = Number(query.seconds); },
  // Access tokens stop counting before their time, as where the clocks differ.
  '/lab/expire': async () => {
    for (const id of lab.access) await (await provider.AccessToken.find(id))?.destroy();
    lab.access.clear();
  },
  // The owner takes back what was granted.
  '/lab/revoke': async () => {
    for (const id of lab.grants) {
      for (const model of [provider.RefreshToken, provider.AccessToken]) await model.revokeByGrantId(id);
      await (await provider.Grant.find(id))?.destroy();
    }
    lab.grants.clear();
  },
};

provider.use(async (ctx, next) => {
  const order = orders[ctx.path];
  if (!order) return next();
  await order(ctx.query);
  ctx.body = { refreshed: lab.refreshed, reused: lab.reused, revoked: lab.revoked, issued: lab.issued };
});

provider.on('server_error', (ctx, error) => console.error(error));
const server = provider.listen(port, '127.0.0.1', () => console.log(`listening on ${issuer}`));
process.on('SIGTERM', () => { server.close(); process.exit(0); });
