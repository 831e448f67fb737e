import { type ChildProcess, fork } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Shadow, ShadowError, type ShadowIndex, type ShadowShape } from '../../shadow.ts'
import { beginningOf, newOnesFolder, settle } from './kept.ts'
import type { Answer, RequestKind, Requests } from './messages.ts'

export type ShadowLimits = {
  /** Milliseconds to make the shadow; a database with hundreds of tables takes seconds. */
  bootMs?: number
  /** Milliseconds of one question. */
  questionMs?: number
}

const BOOT_MS = 120_000
const QUESTION_MS = 10_000
/** Milliseconds more that each index of many may take. */
const ADDING_MS = 200

/** `.ts` where sources run, `.js` where they were built. */
const CHILD = new URL(
  import.meta.url.endsWith('.ts') ? './child.ts' : './child.js',
  import.meta.url,
)

/** A process with a temporary folder of its own, and what it was asked. */
const startChild = async () => {
  const folder = await mkdtemp(join(tmpdir(), 'latchkey-shadow-'))
  // Foreign SQL is planned in there: it gets nothing of our environment. The database itself takes half a gigabyte.
  const child: ChildProcess = fork(fileURLToPath(CHILD), [folder, newOnesFolder()], {
    env: {},
    execArgv: ['--max-old-space-size=512', '--disable-warning=ExperimentalWarning'],
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  })
  const waiting = new Map<
    number,
    { resolve: (value: never) => void; reject: (why: Error) => void }
  >()
  let id = 0
  let why = 'The shadow database ended by itself.'
  child.on('error', () => {})
  child.on('message', (answer: Answer) => {
    const asked = waiting.get(answer.id)
    waiting.delete(answer.id)
    if ('refused' in answer) asked?.reject(new ShadowError(answer.refused))
    else asked?.resolve(answer.answered as never)
  })
  const ended = new Promise<void>((resolve) => {
    child.once('exit', async () => {
      for (const { reject } of waiting.values()) reject(new ShadowError(why))
      waiting.clear()
      await rm(folder, { recursive: true, force: true, maxRetries: 3 }).catch(() => {})
      resolve()
    })
  })

  const kill = (reason: string) => {
    why = reason
    child.kill('SIGKILL')
    return ended
  }

  const ask = <Kind extends RequestKind>(
    kind: Kind,
    asked: Requests[Kind]['asked'],
    limitMs: number,
  ): Promise<Requests[Kind]['answered']> => {
    if (!child.connected) return Promise.reject(new ShadowError(why))
    const timer = setTimeout(
      () => void kill(`The shadow database took longer than ${limitMs} ms and was ended.`),
      limitMs,
    )
    return new Promise<Requests[Kind]['answered']>((resolve, reject) => {
      id++
      waiting.set(id, { resolve, reject })
      // One that has ended says so when it exits.
      child.send({ id, kind, asked }, () => {})
    }).finally(() => clearTimeout(timer))
  }
  return { folder, pid: child.pid, ask, kill, isAlive: () => child.connected, ended }
}

/**
 * Makes a shadow in a process of its own. A question that takes too long ends the process and fails; the next question
 * finds a new one.
 * @throws ShadowError when it cannot be made in time
 */
export const openShadow = async (
  shape: ShadowShape,
  { bootMs = BOOT_MS, questionMs = QUESTION_MS }: ShadowLimits = {},
): Promise<Shadow & { pid: () => number | undefined; folder: () => string }> => {
  const added: ShadowIndex[] = []
  let isClosed = false

  const make = async () => {
    const child = await startChild()
    const kind = shape.isBytewise ? 'bytewise' : 'other'
    const from = beginningOf(kind)
    const failed = await child.ask('start', { shape, from }, bootMs).catch(async (error) => {
      settle(kind, from, false)
      await child.kill('The shadow database could not be made.')
      throw error
    })
    settle(kind, from, true)
    if (added.length > 0) await child.ask('add', added, bootMs)
    return { child, failed }
  }
  let making = make()
  const { failed } = await making

  /** The process that is there, or a new one. */
  const alive = async () => {
    if (isClosed) throw new ShadowError('The shadow database is closed.')
    const { child } = await making.catch(() => ({ child: undefined }))
    if (!child?.isAlive()) making = make()
    return (await making).child
  }
  let current = (await making).child
  /** One question at a time, so that none's time runs out while it waits for others. */
  let last: Promise<unknown> = Promise.resolve()
  const inTurn = <Answered>(ask: () => Promise<Answered>): Promise<Answered> => {
    const turn = last.then(ask)
    last = turn.catch(() => {})
    return turn
  }

  return {
    failed,
    add: (indexes) =>
      inTurn(async () => {
        current = await alive()
        const answers = await current.ask('add', indexes, questionMs + indexes.length * ADDING_MS)
        added.push(...indexes.filter((_, at) => Array.isArray(answers[at])))
        return answers
      }),
    explain: (question) =>
      inTurn(async () => {
        current = await alive()
        return current.ask('explain', question, questionMs)
      }),
    close: async () => {
      isClosed = true
      const { child } = await making.catch(() => ({ child: current }))
      await child.kill('The shadow database is closed.')
    },
    pid: () => current.pid,
    folder: () => current.folder,
  }
}
