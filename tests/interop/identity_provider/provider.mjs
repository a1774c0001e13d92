// The certified provider of the npm package oidc-provider, over TLS, with people and one job.
// Its one argument is a JSON object: port, cert, key, people (name -> groups), idTokenSeconds, job (claims),
// back (more redirect addresses).
// SIGUSR2 gives it new signing keys, and the old ones are gone.
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { Provider } from 'oidc-provider';

const given = JSON.parse(process.argv[2]);
const issuer = `https://127.0.0.1:${given.port}`;

function keys() {
  const make = (type, options, alg) => ({
    ...generateKeyPairSync(type, options).privateKey.export({ format: 'jwk' }), kid: randomUUID(), use: 'sig', alg,
  });
  return { keys: [make('rsa', { modulusLength: 2048 }, 'RS256'), make('ec', { namedCurve: 'P-256' }, 'ES256')] };
}

function provider() {
  return new Provider(issuer, {
    jwks: keys(),
    cookies: { keys: ['only for a test'] },
    clients: [
      {
        client_id: 'bodycam-cli',
        application_type: 'native',
        token_endpoint_auth_method: 'none',
        grant_types: ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code'],
        response_types: ['code'],
        redirect_uris: ['http://127.0.0.1/callback', ...given.back],
      },
      {
        client_id: 'nightly-job',
        client_secret: 'only for a test',
        grant_types: ['client_credentials'],
        response_types: [],
        redirect_uris: [],
      },
    ],
    claims: { openid: ['sub', 'realm_access'] },
    features: {
      deviceFlow: { enabled: true },
      revocation: { enabled: true },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: () => ({
          scope: '', audience: 'bodycam', accessTokenFormat: 'jwt', accessTokenTTL: given.jobSeconds,
          jwt: { sign: { alg: 'ES256' } },
        }),
      },
    },
    extraTokenClaims: (_context, token) => (token.clientId === 'nightly-job' ? given.job : undefined),
    findAccount: (_context, name) => ({
      accountId: name,
      claims: () => ({ sub: name, realm_access: { roles: given.people[name] ?? [] } }),
    }),
    ttl: { IdToken: given.idTokenSeconds, DeviceCode: 120, AuthorizationCode: 60, Session: 3600, Grant: 3600, Interaction: 600, RefreshToken: 3600 },
  }).callback();
}

let now = provider();
process.on('SIGUSR2', () => { now = provider(); console.log('new keys'); });
createServer({ cert: readFileSync(given.cert), key: readFileSync(given.key) }, (question, answer) => now(question, answer))
  .listen(given.port, '127.0.0.1', () => console.log('ready'));
