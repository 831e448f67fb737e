import { applyAdvice } from '../../src/indexes/build.ts'
import type { Context } from '../../src/platform/context.ts'
import { macKey } from '../../src/platform/crypto/mac.ts'
import { connect } from '../../src/platform/db/connect.ts'
import { silentLog } from '../../src/platform/log.ts'

// A worker that is only good for being killed: it applies one recommendation, and nobody hears from it.
const [url = '', recommendation = '', id = ''] = process.argv.slice(2)
const sql = connect({ url })
const actor = {
  subject: 'service:lonely',
  apiKeyId: null,
  organizationId: null,
  restrictedTo: null,
}
const context = {
  ...{ sql, log: silentLog, actor, organizationId: '', requestId: id, now: () => new Date() },
  access: { changed: () => {} } as unknown as Context['access'],
  outgoing: { recorded: async () => {}, wake: () => {} },
  auditKey: await macKey(new Uint8Array(32).fill(7)),
  sealKey: {} as Context['sealKey'],
}
await applyAdvice({
  ...{ id, payload: { recommendation }, organizationId: null, workspaceId: null, context },
  ...{ attempt: 1, attemptsMax: 3, fence: 1, signal: new AbortController().signal },
  once: async () => true,
  progress: async () => {},
})
process.exit()
