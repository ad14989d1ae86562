// Sigstore's own verifier (npm @sigstore/verify) on the log's receipts: one JSON receipt a line on stdin, one JSON verdict a line.
import { createPublicKey } from 'node:crypto'
import { createInterface } from 'node:readline'
import { createRequire } from 'node:module'

const { verifyTLogInclusion } = createRequire(import.meta.url)('@sigstore/verify/dist/tlog/index.js')

for await (const line of createInterface({ input: process.stdin })) {
  const { key, keyId, name, checkpoint, index, size, root, hashes, entry } = JSON.parse(line)
  const logID = Buffer.from(keyId, 'base64')
  const authority = { logID, baseURL: `https://${name}`, publicKey: createPublicKey({ key: Buffer.from(key, 'base64'), format: 'der', type: 'spki' }) }
  const told = {
    logIndex: index,
    logId: { keyId: logID },
    canonicalizedBody: Buffer.from(entry, 'base64'),
    inclusionProof: {
      logIndex: index,
      treeSize: size,
      rootHash: Buffer.from(root, 'base64'),
      hashes: hashes.map((hash) => Buffer.from(hash, 'base64')),
      checkpoint: { envelope: checkpoint },
    },
  }
  let verdict = { ok: true }
  try {
    verifyTLogInclusion(told, [authority])
  } catch (error) {
    if (error.name !== 'VerificationError') throw error
    verdict = { ok: false, error: error.message }
  }
  console.log(JSON.stringify(verdict))
}
