import { recordChange } from '../audit/service.ts'
import type { Context } from '../platform/context.ts'
import { changeOrganization, inOrganizationSnapshot } from '../platform/db/transaction.ts'
import { readRows, TABLES } from './repository.ts'

/** Milliseconds a reader may pause before the archive ends: it holds a connection to the database meanwhile. */
const PAUSE_MS_MAX = 30_000

const ANY_STATUS = { allowedWhile: ['active', 'read_only', 'suspended', 'pending_deletion'] }

/**
 * Everything the server keeps of an organization, as of one instant: newline-delimited JSON, `{"table","row"}` a line, with
 * a last line that says how many there were. A stream that ends without it is not whole.
 */
export const archiveOrganization = async (
  context: Context,
): Promise<ReadableStream<Uint8Array>> => {
  await changeOrganization(
    context,
    (tx, organizationId) =>
      recordChange(tx, context, {
        event: 'organization.archived',
        resource: `organization:${organizationId}`,
      }),
    ANY_STATUS,
  )
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>()
  const writer = writable.getWriter()
  void write(context, writer)
    .then(() => writer.close())
    .catch((error: unknown) => {
      context.log.warn({ err: error, requestId: context.requestId }, 'an archive ended early')
      return writer.abort(error)
    })
    .catch(() => {})
  return readable
}

const write = (context: Context, writer: WritableStreamDefaultWriter<Uint8Array>) =>
  inOrganizationSnapshot(context, async (tx, organizationId) => {
    const encoder = new TextEncoder()
    const put = (text: string) => beforePause(writer, encoder.encode(text))
    let rows = 0
    for (const table of TABLES)
      for await (const page of readRows(tx, organizationId, table)) {
        rows += page.length
        await put(page.map(({ row }) => `{"table":"${table.name}","row":${row}}\n`).join(''))
      }
    await put(`${JSON.stringify({ complete: true, rows })}\n`)
  })

/** Writes as fast as it is read, and gives up on whoever stops reading. */
const beforePause = async (
  writer: WritableStreamDefaultWriter<Uint8Array>,
  bytes: Uint8Array,
): Promise<void> => {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('the reader stopped reading')), PAUSE_MS_MAX)
  })
  try {
    await Promise.race([writer.write(bytes), late])
  } finally {
    clearTimeout(timer)
  }
}
