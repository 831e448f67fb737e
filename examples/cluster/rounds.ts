import { randomBytes } from 'node:crypto'

/** What one round has seen: milliseconds from the answer to a change until another node answers by it. */
export type Round = { allowedMs: number; deniedMs: number }

type Nodes = readonly [string, string, string]

const MS_MAX = 5000

/** Gives somebody a role on one node, takes it away on another, and asks a third; in an organization of its own. */
export const openRounds = async (front: string, [one, two, three]: Nodes, key: string) => {
  const call = async (node: string, method: string, path: string, body?: unknown) => {
    const answer = await fetch(`${node}${path}`, {
      method,
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const text = await answer.text()
    if (!answer.ok) throw new Error(`${method} ${path} was answered with ${answer.status}: ${text}`)
    return text === '' ? {} : JSON.parse(text)
  }
  const slug = `cluster-${randomBytes(4).toString('hex')}`
  // Through the front: whichever node it is, all of them know the organization afterwards.
  await call(front, 'POST', '/v1/organizations', { name: slug, slug, owner: 'alice' })
  const path = `/v1/organizations/${slug}/members/bob`
  const question = { organization: slug, subject: 'user:bob', permission: 'scenario:read' }
  const untilAnswered = async (allowed: boolean) => {
    const startedAtMs = performance.now()
    for (;;) {
      const answer = await call(three, 'POST', '/check', question)
      const tookMs = performance.now() - startedAtMs
      if (answer.allowed === allowed) return tookMs
      if (tookMs > MS_MAX) throw new Error(`node 3 does not know after ${MS_MAX} ms`)
    }
  }

  return {
    round: async (): Promise<Round> => {
      await call(one, 'PUT', path, { roles: ['viewer'] })
      const allowedMs = await untilAnswered(true)
      await call(two, 'PUT', path, { roles: [] })
      return { allowedMs, deniedMs: await untilAnswered(false) }
    },
    /** Leaves nothing behind in a database that is somebody's. */
    close: () => call(front, 'DELETE', `/v1/organizations/${slug}`),
  }
}
