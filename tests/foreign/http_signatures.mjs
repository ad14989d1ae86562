// Signs a request, or verifies an answer bound to its request, with npm's http-message-signatures (RFC 9421): JSON in, JSON out.
import { readFileSync } from "node:fs";
import { createPrivateKey, createPublicKey } from "node:crypto";
import { httpbis, createSigner, createVerifier } from "http-message-signatures";

const asked = JSON.parse(readFileSync(0, "utf8"));

async function sign({ request, pem, keyid, fields, nonce, created }) {
  const key = createSigner(createPrivateKey(pem), "ecdsa-p256-sha256", keyid);
  const params = ["created", "nonce", "keyid", "alg"].filter((name) => name !== "nonce" || nonce);
  const paramValues = { nonce, created: new Date(created * 1000) };
  return (await httpbis.signMessage({ key, name: "partner", fields, params, paramValues }, request)).headers;
}

async function verify({ answer, request, jwk }) {
  const verifier = createVerifier(createPublicKey({ key: jwk, format: "jwk" }), "ed25519");
  const config = {
    keyLookup: async ({ keyid }) => (keyid === jwk.kid ? { id: keyid, algs: ["ed25519"], verify: verifier } : null),
    requiredFields: ["@status", "@method", "content-digest"],
  };
  return await httpbis.verifyMessage(config, answer, request).catch((error) => `refused: ${error.message}`);
}

console.log(JSON.stringify(await { sign, verify }[asked.what](asked)));
