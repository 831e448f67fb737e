import { setTimeout as sleep } from 'node:timers/promises'
import { onTestFinished } from 'vitest'
import { parseRevisionToken } from '../../src/platform/context.ts'

/** How a node is reached: over HTTP, with an operator's key. */
export type Reached = { url: string; key: string }

export type Said = { status: number; body: Record<string, unknown>; revision: string | null }

/** One call over HTTP. */
export const callOver =
  ({ url, key }: Reached) =>
  async (what: string, body?: unknown): Promise<Said> => {
    const [method = 'GET', path = '/'] = what.split(' ')
    const answer = await fetch(url + path, {
      method,
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const text = await answer.text()
    return {
      status: answer.status,
      body: text === '' ? {} : JSON.parse(text),
      revision: answer.headers.get('latchkey-revision'),
    }
  }

/** One answer: when it was asked for, how long it took beside what the process itself stood still, and what it was. */
type Seen = {
  askedAtMs: number
  tookMs: number
  status: number
  allowed: boolean
  revision: number
}

/** What a server says that does not answer. */
const NOBODY: Said = { status: 0, body: {}, revision: null }

const BEAT_MS = 10
/** A beat that is so late is a process that stood still, which is nobody's fault that is looked for. */
const LATE_MS = 20

/** Notes when this process, in which servers may run, stood still. */
const startPulse = () => {
  const stalls: [fromMs: number, toMs: number][] = []
  let lastMs = performance.now()
  const timer = setInterval(() => {
    const nowMs = performance.now()
    if (nowMs - lastMs > BEAT_MS + LATE_MS) stalls.push([lastMs + BEAT_MS, nowMs])
    lastMs = nowMs
  }, BEAT_MS)
  const within = (fromMs: number, toMs: number) =>
    stalls.reduce(
      (sum, [from, to]) => sum + Math.max(0, Math.min(to, toMs) - Math.max(from, fromMs)),
      0,
    )
  return { within, stop: () => clearInterval(timer) }
}

/** Asks one question of each node over and over, one after another on each, and keeps every answer. */
export const witness = (nodes: readonly Reached[], question: object) => {
  const pulse = startPulse()
  const seen: Seen[][] = nodes.map(() => [])
  let ended = false
  // A test that fails leaves nobody asking.
  onTestFinished(() => {
    ended = true
    pulse.stop()
  })
  const asking = nodes.map(async (node, at) => {
    const call = callOver(node)
    while (!ended) {
      const askedAtMs = performance.now()
      const { status, body } = await call('POST /check', question).catch(() => NOBODY)
      const answeredAtMs = performance.now()
      // The beat that tells of a stall comes after it.
      await sleep(2 * BEAT_MS)
      seen[at]!.push({
        ...{ askedAtMs, status, allowed: status === 200 && body.allowed === true },
        tookMs: answeredAtMs - askedAtMs - pulse.within(askedAtMs, answeredAtMs),
        revision: parseRevisionToken(String(body.revision))?.revision ?? 0,
      })
    }
  })
  return {
    seen,
    /** Ends, and answers what is wrong in all that was seen: nothing, if the revoke counted when it had to. */
    stop: async ({ revokedAtMs, boundMs }: { revokedAtMs: number; boundMs: number }) => {
      ended = true
      await Promise.all(asking)
      pulse.stop()
      const all = seen.flat()
      return {
        staleAfterBound: all.filter(
          ({ allowed, askedAtMs }) => allowed && askedAtMs > revokedAtMs + boundMs,
        ).length,
        /** Answers of a revision before one that the same node had answered from already. */
        backwards: seen.reduce((sum, answers) => sum + countOfBackwards(answers), 0),
        statuses: [...new Set(all.map(({ status }) => status))].sort(),
      }
    },
  }
}

const countOfBackwards = (answers: readonly Seen[]) => {
  let [reached, count] = [0, 0]
  for (const { status, revision } of answers) {
    if (status !== 200) continue
    if (revision < reached) count++
    reached = Math.max(reached, revision)
  }
  return count
}
