import { setTimeout as sleep } from 'node:timers/promises'
import { asAdministrator, within } from '../test/support/database.ts'
import { startRedis } from '../test/support/redis.ts'
import { type Figure, median, percentile } from './figures.ts'
import { AUTHORIZATION, startLatchkey } from './latchkey.ts'
import { step } from './progress.ts'

const call = async (url: string, what: string, body?: object) => {
  const [method = 'GET', path = '/'] = what.split(' ')
  const answer = await fetch(`${url}${path}`, {
    method,
    headers: { ...AUTHORIZATION, ...(body ? { 'content-type': 'application/json' } : {}) },
    ...(body ? { body: JSON.stringify(body) } : {}),
  })
  const text = await answer.text()
  if (!answer.ok) throw new Error(`${what}: ${answer.status} ${text.slice(0, 300)}`)
  return {
    revision: answer.headers.get('latchkey-revision'),
    body: text === '' ? {} : (JSON.parse(text) as Record<string, unknown>),
  }
}

/** Milliseconds from a revoke's answer on one node until another denies, which is asked over and over without its token. */
const timesToDeny = async (writer: string, reader: string, rounds: number) => {
  const slug = `fresh-${Date.now().toString(36)}`
  const path = `/v1/organizations/${slug}`
  await call(writer, 'POST /v1/organizations', { name: slug, slug, owner: 'alice' })
  const question = { organization: slug, subject: 'user:bob', permission: 'scenario:read' }
  const times: number[] = []
  const asking = step('revoke → denied elsewhere', rounds)
  for (let round = 0; round < rounds; round++) {
    asking.at(round)
    const { revision } = await call(writer, `PUT ${path}/members/bob`, { roles: ['viewer'] })
    const consistency = { atLeast: revision }
    await call(reader, 'POST /check', { ...question, consistency })
    await sleep(2)
    await call(writer, `PUT ${path}/members/bob`, { roles: [] })
    const revokedAtMs = performance.now()
    while ((await call(reader, 'POST /check', question)).body.allowed) await sleep(0)
    times.push(performance.now() - revokedAtMs)
  }
  asking.done()
  return times
}

/** How soon a revoke on one node counts on another: told by the database, and by Redis besides. */
export const benchFreshness = async (postgresUrl: string, rounds: number): Promise<Figure[]> => {
  const redis = await startRedis()
  const figures: Figure[] = []
  try {
    for (const [how, settings] of [
      ['PostgreSQL tells', {}],
      ['Redis tells, too', { REDIS_URL: redis.url }],
    ] as const) {
      const name = 'bench_freshness'
      await asAdministrator(postgresUrl, `drop database if exists ${name} with (force)`)
      await asAdministrator(postgresUrl, `create database ${name}`)
      const shared = { DATABASE_URL: within(postgresUrl, name), JOB_QUEUES: 'none', ...settings }
      const writer = await startLatchkey(shared)
      const reader = await startLatchkey(shared)
      try {
        const times = await timesToDeny(writer.url, reader.url, rounds)
        figures.push({
          name: `revoke → denied on another node, p99, ${how}`,
          value: percentile(times, 0.99),
          lowest: median(times),
          highest: Math.max(...times),
          unit: 'ms',
          target: 10,
          reach: 'at most',
          note: `${rounds} revokes, each from its answer to the first denial; lowest is p50`,
        })
      } finally {
        await writer.stop()
        await reader.stop()
        await asAdministrator(postgresUrl, `drop database if exists ${name} with (force)`)
      }
    }
    return figures
  } finally {
    await redis.stop()
  }
}
