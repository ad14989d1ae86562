// What a partner's Node program does with the npm package openid-client: discover, get a token, call, introspect, revoke.
// Reads one JSON object on stdin ({issuer, clientId, jwk, kid, dpop, path}); writes one on stdout.
import * as client from 'openid-client'
import { readFileSync } from 'node:fs'

const asked = JSON.parse(readFileSync(0, 'utf8'))
const algorithms = {
  EC: { name: 'ECDSA', namedCurve: asked.jwk.crv },
  OKP: { name: 'Ed25519' },
  RSA: { name: 'RSA-PSS', hash: 'SHA-256' },
}
const key = await crypto.subtle.importKey('jwk', asked.jwk, algorithms[asked.jwk.kty], false, ['sign'])
const config = await client.discovery(
  new URL(asked.issuer),
  asked.clientId,
  undefined,
  client.PrivateKeyJwt({ key, kid: asked.kid }),
  { algorithm: 'oauth2', execute: [client.allowInsecureRequests] },
)
const said = { methods: config.serverMetadata().token_endpoint_auth_methods_supported }
try {
  const bound = asked.dpop ? { DPoP: client.getDPoPHandle(config, await client.randomDPoPKeyPair('ES256')) } : undefined
  const tokens = await client.clientCredentialsGrant(config, asked.parameters ?? {}, bound)
  Object.assign(said, { type: tokens.token_type, scope: tokens.scope, expires: tokens.expires_in })
  const call = async () =>
    await client.fetchProtectedResource(config, tokens.access_token, new URL(asked.issuer + asked.path), 'GET', null, undefined, bound)
  said.first = (await call()).status
  said.second = (await call()).status
  said.active = (await client.tokenIntrospection(config, tokens.access_token)).active
  await client.tokenRevocation(config, tokens.access_token)
  said.revoked = (await client.tokenIntrospection(config, tokens.access_token)).active
  try {
    said.after = (await call()).status
  } catch (error) {
    said.after = error.status ?? error.cause?.status ?? String(error)
  }
  if (bound) {
    // The token without its key, as a thief would send it.
    const stolen = await fetch(asked.issuer + asked.path, { headers: { authorization: `Bearer ${tokens.access_token}` } })
    said.stolen = stolen.status
  }
} catch (error) {
  Object.assign(said, { error: error.error ?? String(error), description: error.error_description })
}
console.log(JSON.stringify(said))
