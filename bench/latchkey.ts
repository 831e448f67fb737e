import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Shot } from './answers.ts'
import { type Asker, eachOf } from './ask.ts'
import type { Batch, KnownQuestion } from './dataset.ts'
import { freePort, type Served, startServer } from './processes.ts'

/** The key that may ask everywhere. */
export const ADMIN_KEY = 'bench-only-0123456789-0123456789-0123456789'
export const AUTHORIZATION = { authorization: `Bearer ${ADMIN_KEY}` }

/** What every server is started with, beside its database. The log stays at its default: info. */
const SETTINGS = {
  LATCHKEY_ADMIN_KEY: ADMIN_KEY,
  LATCHKEY_DEMO: 'off',
  DEFAULT_PLAN: 'custom',
  ENGINE_VERIFY: 'off',
  LOG_LEVEL: 'info',
  POLICY_BYTES_MAX: '4000000000',
}

/** Longer than STALENESS_MS: by then a server knows of a change that was made beside it. */
const NOTICED_MS = 1500

const program = (path: string) => fileURLToPath(new URL(path, import.meta.url))

/** Starts the server as `latchkey serve` does; with more arguments, and on another core, if given. */
export const startLatchkey = async (
  settings: Record<string, string>,
  { core, args = [] }: { core?: number | null; args?: readonly string[] } = {},
): Promise<Served> => {
  const port = String(await freePort())
  return startServer([process.execPath, program('../src/cli.ts'), 'serve', ...args], {
    env: { ...SETTINGS, ...settings, PORT: port },
    ...(core === undefined ? {} : { core }),
    url: `http://127.0.0.1:${port}`,
    readyPath: '/readyz',
  })
}

/** Starts the server that decides nothing (baseline.ts). */
export const startBaseline = async (settings: Record<string, string>): Promise<Served> => {
  const port = String(await freePort())
  return startServer([process.execPath, program('./baseline.ts')], {
    env: { ...SETTINGS, ...settings, PORT: port },
    url: `http://127.0.0.1:${port}`,
    readyPath: '/ready',
  })
}

/** Waits until running servers have seen what was changed in the database beside them. */
export const untilNoticed = () => sleep(NOTICED_MS)

const wrong = (what: string, body: string, answer: string) =>
  new Error(`${what} answered\n  ${answer.slice(0, 400)}\nto\n  ${body.slice(0, 400)}`)

/** Asks every question once, so that all is in memory, and holds the answers against those known. */
export const askAll = async (asker: Asker, url: string, known: readonly KnownQuestion[]) => {
  const answers: string[] = []
  await eachOf(known, 16, async ({ body, allowed }) => {
    const { status, text } = await asker.ask(`${url}/check`, body)
    if (status !== 200 || (JSON.parse(text) as { allowed: boolean }).allowed !== allowed)
      throw wrong('/check', body, `${status} ${text}`)
    answers.push(text)
  })
  return answers
}

/** The same for batches, each check in its place. */
export const askBatches = (asker: Asker, url: string, batches: readonly Batch[]) =>
  eachOf(batches, 4, async ({ body, allowed }) => {
    const { status, text } = await asker.ask(`${url}/check/batch`, body)
    const { results = [] } = JSON.parse(text) as { results?: { allowed: boolean }[] }
    if (
      status !== 200 ||
      results.length !== allowed.length ||
      results.some((each, at) => each.allowed !== allowed[at])
    )
      throw wrong('/check/batch', body, `${status} ${text}`)
  })

/** A question as the load generator asks it. */
export const shotOf = ({ body, allowed }: KnownQuestion): Shot => ({
  body,
  expect: `"allowed":${allowed}`,
  times: 1,
})

export const batchShotOf = ({ body, allowed }: Batch): Shot => ({
  body,
  expect: '"allowed":true',
  times: allowed.filter(Boolean).length,
})
