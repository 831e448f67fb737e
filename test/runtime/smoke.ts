import { expect } from 'vitest'

/** How a runtime is reached: the address of a server, and an operator's key. */
export type Reached = { url: string; key: string }

type Said = { status: number; body: Record<string, unknown>; headers: Headers }

const caller =
  ({ url, key }: Reached) =>
  async (what: string, body?: unknown, token: string | null = key): Promise<Said> => {
    const [method = 'GET', path = '/'] = what.split(' ')
    const answer = await fetch(`${url}${path}`, {
      method,
      headers: {
        ...(token === null ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const text = await answer.text()
    const isJson = /\bjson\b/.test(answer.headers.get('content-type') ?? '')
    const said = isJson && text !== '' ? JSON.parse(text) : { text }
    return { status: answer.status, body: said, headers: answer.headers }
  }

const slugOf = () => `smoke-${Date.now().toString(36)}-${Math.random().toString(36).slice(2, 6)}`

const started = async (reached: Reached) => {
  const call = caller(reached)
  const slug = slugOf()
  const path = `/v1/organizations/${slug}`
  await call('POST /v1/organizations', { name: slug, slug, owner: 'alice' })
  await call(`PUT ${path}/members/bob`, { roles: ['viewer'] })
  const ask = async (more: object = {}) => {
    const question = { organization: slug, subject: 'user:bob', permission: 'scenario:read' }
    return (await call('POST /check', { ...question, ...more })).body
  }
  return { call, slug, path, ask }
}

/** What must hold wherever the server runs: one suite, asked of each runtime. */
export const SMOKE: Record<string, (reached: Reached) => Promise<void>> = {
  'lives, is ready, and describes itself': async (reached) => {
    const call = caller(reached)
    expect((await call('GET /healthz', undefined, null)).body).toEqual({ status: 'ok' })
    expect((await call('GET /readyz', undefined, null)).body.status).toBe('ready')
    const { body } = await call('GET /openapi.json', undefined, null)
    expect(Object.keys(body.paths as object)).toContain('/check')
  },

  'allows, denies and explains': async (reached) => {
    const { ask } = await started(reached)
    expect(await ask()).toMatchObject({ allowed: true, code: 'role' })
    expect(await ask({ permission: 'scenario:delete' })).toMatchObject({
      allowed: false,
      code: 'no-match',
    })
    expect(await ask({ subject: 'user:eve' })).toMatchObject({ code: 'not-a-member' })
    expect((await ask({ explain: true })).trace).toBeTruthy()
  },

  'answers many who ask for the same at once, also where who asked first has gone': async (
    reached,
  ) => {
    const { ask, call, path, slug } = await started(reached)
    for (let round = 0; round < 3; round++) {
      // A change, so that all of them find that something has to be read.
      await call(`PUT ${path}/members/bob`, { roles: [round % 2 ? 'viewer' : 'member'] })
      const gone = new AbortController()
      const question = { organization: slug, subject: 'user:bob', permission: 'scenario:read' }
      const first = fetch(`${reached.url}/check`, {
        method: 'POST',
        body: JSON.stringify(question),
        headers: { authorization: `Bearer ${reached.key}`, 'content-type': 'application/json' },
        signal: gone.signal,
      }).catch(() => undefined)
      const asked = Array.from({ length: 24 }, (_, n) =>
        ask(n % 2 ? {} : { subject: `user:u${round}-${n}` }),
      )
      gone.abort()
      const codes = (await Promise.all(asked)).map(({ code }) => code)
      expect([...new Set(codes)].toSorted()).toEqual(['not-a-member', 'role'])
      await first
    }
  },

  'answers a batch and AuthZEN alike': async (reached) => {
    const { call, slug } = await started(reached)
    const checks = ['scenario:read', 'scenario:delete'].map((permission) => ({
      subject: 'user:bob',
      permission,
    }))
    const batch = await call('POST /check/batch', { defaults: { organization: slug }, checks })
    const results = batch.body.results as { allowed: boolean }[]
    expect(results.map(({ allowed }) => allowed)).toEqual([true, false])
    const evaluations = await call(`POST /${slug}/access/v1/evaluation`, {
      subject: { type: 'user', id: 'bob' },
      action: { name: 'read' },
      resource: { type: 'scenario', id: '1' },
    })
    expect([evaluations.status, evaluations.body.decision]).toEqual([200, true])
  },

  'never allows after a revoke whose token is shown': async (reached) => {
    const { call, path, ask } = await started(reached)
    for (let round = 0; round < 5; round++) {
      await call(`PUT ${path}/members/bob`, { roles: ['viewer'] })
      expect((await ask({ consistency: 'full' })).allowed).toBe(true)
      const { headers } = await call(`PUT ${path}/members/bob`, { roles: [] })
      const atLeast = headers.get('latchkey-revision')
      expect((await ask({ consistency: { atLeast } })).allowed).toBe(false)
    }
  },

  'evaluates conditions, denials and resources': async (reached) => {
    const { call, path, ask } = await started(reached)
    const bob = { subject: 'user:bob', permission: 'scenario:execute', resource: 'scenario:7' }
    await call(`POST ${path}/grants`, { ...bob, condition: 'context.mfa == true' })
    const execute = { permission: 'scenario:execute', resource: 'scenario:7', consistency: 'full' }
    expect((await ask(execute)).code).toBe('condition')
    expect((await ask({ ...execute, context: { mfa: true } })).allowed).toBe(true)
    await call(`POST ${path}/grants`, { ...bob, effect: 'deny' })
    expect((await ask({ ...execute, context: { mfa: true } })).code).toBe('denied')
  },

  'lists who may do what': async (reached) => {
    const { call, path } = await started(reached)
    const { body } = await call(`POST ${path}/search/subjects`, { permission: 'scenario:read' })
    const subjects = (body.items as { subject: string }[]).map(({ subject }) => subject)
    expect(subjects.filter((subject) => subject.startsWith('user:'))).toEqual([
      'user:alice',
      'user:bob',
    ])
  },

  'refuses as everywhere: 401, 403, 404, 400, each as problem+json': async (reached) => {
    const { call, path } = await started(reached)
    const made = await call(`POST ${path}/api-keys`, { name: 'k', roles: ['viewer'] })
    const key = made.body.secret as string
    const refusals = [
      await call('POST /check', {}, 'nonsense'),
      await call(`PUT ${path}/members/eve`, { roles: [] }, key),
      await call('GET /v1/organizations/nobody-s'),
      await call(`PUT ${path}/members/eve`, { roles: [], wizard: 1 }),
    ]
    expect(refusals.map(({ status }) => status)).toEqual([401, 403, 404, 400])
    for (const { headers } of refusals)
      expect(headers.get('content-type')).toContain('application/problem+json')
  },

  'takes the secrets out of a template': async (reached) => {
    const { call, path } = await started(reached)
    const secret = ['gh', 'p_', 'aB3dE6gH9jK2mN5pQ8'.repeat(2)].join('')
    const made = await call(`POST ${path}/templates`, {
      ...{ slug: 'greet', name: 'Greet', category: 'other', license: 'MIT' },
      definition: { nodes: [{ name: 'Tell', parameters: { text: secret } }] },
    })
    expect(made.status).toBe(201)
    const version = await call(`GET ${path}/templates/${made.body.id}/versions/0.1.0`)
    expect(version.body.inputs).toMatchObject([{ name: 'tell-text', type: 'secret' }])
  },

  'streams what it has, and what changes': async (reached) => {
    const { call, path } = await started(reached)
    const archive = await call(`POST ${path}/archive`)
    const lines = String(archive.body.text).trim().split('\n')
    expect(lines.length).toBeGreaterThan(3)
    for (const line of lines) JSON.parse(line)
    const gone = new AbortController()
    const watching = await fetch(`${reached.url}${path}/watch`, {
      headers: { authorization: `Bearer ${reached.key}` },
      signal: gone.signal,
    })
    const reader = watching.body!.pipeThrough(new TextDecoderStream()).getReader()
    let heard = ''
    const until = async (text: string) => {
      while (!heard.includes(text)) {
        const { value, done } = await reader.read()
        if (done) throw new Error(`the stream ended after: ${heard}`)
        heard += value
      }
    }
    await until('event: ready')
    await call(`PUT ${path}/members/zoe`, { roles: [] })
    await until('"user:zoe"')
    gone.abort()
  },

  'repeats nothing under one Idempotency-Key': async (reached) => {
    const { path } = await started(reached)
    const answers = await Promise.all(
      Array.from({ length: 3 }, () =>
        fetch(`${reached.url}${path}/workspaces`, {
          method: 'POST',
          headers: {
            authorization: `Bearer ${reached.key}`,
            'content-type': 'application/json',
            'idempotency-key': `smoke-${path}`,
          },
          body: JSON.stringify({ name: 'Lab' }),
        }).then((answer) => answer.json() as Promise<{ id: string }>),
      ),
    )
    expect(new Set(answers.map(({ id }) => id)).size).toBe(1)
  },
}
