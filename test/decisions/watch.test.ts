import { afterAll, beforeAll, expect, test } from 'vitest'
import { startTestServer, type TestServer } from '../support/server.ts'

let server: TestServer
beforeAll(async () => {
  server = await startTestServer({ stalenessMs: 100 })
})
afterAll(() => server.drop())

type Heard = { event: string; id: string; data: Record<string, unknown> }
type WatchOptions = { headers?: Record<string, string>; key?: string }

/** A client of the stream, as a browser reads it. */
const watch = async (path: string, { headers, key = server.adminKey }: WatchOptions = {}) => {
  const gone = new AbortController()
  const answer = await server.fetch(
    new Request(`http://latchkey.test${path}`, {
      headers: { authorization: `Bearer ${key}`, ...headers },
      signal: gone.signal,
    }),
  )
  const reader = answer.body!.getReader()
  const decoder = new TextDecoder()
  let text = ''
  let ended = false
  const next = async (): Promise<Heard | undefined> => {
    for (;;) {
      const end = text.indexOf('\n\n')
      if (end >= 0) {
        const block = text.slice(0, end)
        text = text.slice(end + 2)
        const fields = Object.fromEntries(
          block.split('\n').map((line) => {
            const colon = line.indexOf(':')
            return [line.slice(0, colon), line.slice(colon + 1).trim()]
          }),
        )
        if (fields.event) return { ...fields, data: JSON.parse(fields.data ?? '') } as Heard
        continue
      }
      if (ended) return undefined
      const { value, done } = await reader.read()
      ended = done
      if (value) text += decoder.decode(value, { stream: true })
    }
  }
  return { answer, next, stop: () => reader.cancel() }
}

test('every change is told, in order, with whom it touches', async () => {
  const { path } = await server.newOrganization()
  const stream = await watch(`${path}/watch`)
  expect(stream.answer.headers.get('content-type')).toContain('text/event-stream')
  expect(stream.answer.headers.get('x-request-id')).toBeTruthy()
  const ready = await stream.next()
  expect(ready?.event).toBe('ready')
  const made = []
  for (const name of ['bob', 'zoe']) {
    made.push((await server.call(`PUT ${path}/members/${name}`, { roles: ['viewer'] })).revision)
    const told = await stream.next()
    expect([told?.event, told?.id]).toEqual(['change', made.at(-1)])
    expect(told?.data).toMatchObject({ revision: made.at(-1), resources: [] })
    expect(told?.data.subjects).toContain(`user:${name}`)
  }
  // What may touch everybody names nobody.
  await server.call(`PUT ${path}/roles/reader`, { permissions: ['scenario:read'] })
  expect((await stream.next())?.data.subjects).toBeNull()
  await stream.stop()
})

test('a lost connection goes on where it was', async () => {
  const { path } = await server.newOrganization()
  const stream = await watch(`${path}/watch`)
  const ready = await stream.next()
  await stream.stop()
  const missed = []
  for (const name of ['bob', 'zoe', 'dan'])
    missed.push((await server.call(`PUT ${path}/members/${name}`, { roles: [] })).revision)
  for (const second of [
    await watch(`${path}/watch`, { headers: { 'last-event-id': ready!.id } }),
    await watch(`${path}/watch?since=${ready!.id}`),
  ]) {
    expect((await second.next())?.event).toBe('ready')
    for (const token of missed) expect((await second.next())?.id).toBe(token)
    await second.stop()
  }
})

test('who has missed too much, or comes from the future, is told to ask anew', async () => {
  const { path, id } = await server.newOrganization()
  const first = await watch(`${path}/watch`)
  const ready = await first.next()
  await first.stop()
  await server.call(`PUT ${path}/members/bob`, { roles: [] })
  await server.sql`delete from policy_changes where organization_id = ${id}`
  const later = await watch(`${path}/watch?since=${ready!.id}`)
  await later.next()
  expect((await later.next())?.event).toBe('reset')
  await later.stop()
  const [own, , platform] = ready!.id.split('.')
  const future = await watch(`${path}/watch?since=${own}.zzzz.${platform}`)
  await future.next()
  expect((await future.next())?.event).toBe('reset')
  await future.stop()
})

test('a change of the platform is told to everybody', async () => {
  const { path } = await server.newOrganization()
  const stream = await watch(`${path}/watch`)
  await stream.next()
  await server.call('POST /v1/permissions', {
    key: 'report:watch',
    scope: 'workspace',
  })
  const told = await stream.next()
  expect([told?.event, told?.data.subjects]).toEqual(['change', null])
  await stream.stop()
})

test('the stream ends with the right to ask', async () => {
  const { path } = await server.newOrganization()
  const made = await server.call(`POST ${path}/api-keys`, {
    name: 'watcher',
    permissions: ['decision:check'],
  })
  const stream = await watch(`${path}/watch`, { key: made.body.secret })
  expect((await stream.next())?.event).toBe('ready')
  await server.call(`DELETE ${path}/api-keys/${made.body.id}`)
  for (let event = await stream.next(); event; event = await stream.next())
    expect(event.event).toBe('change')
})

test('a token of elsewhere is refused, and no token is repeated', async () => {
  const { path } = await server.newOrganization()
  const other = await server.newOrganization()
  const { revision } = await server.call(`PUT ${other.path}/members/bob`, { roles: [] })
  for (const since of [revision!, 'nonsense']) {
    const { status, body } = await server.call(`GET ${path}/watch?since=${since}`)
    expect([status, body.code, body.errors[0].pointer]).toEqual([400, 'invalid-request', '/since'])
    expect(JSON.stringify(body)).not.toContain(since)
  }
})
