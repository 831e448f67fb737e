import type { Log } from '../log.ts'
import type { DatabaseTarget, Sql } from './connect.ts'
import { connect } from './connect.ts'
import { beforeDeadline } from './deadline.ts'

/** The channel on which the database tells of changes that were typed by hand (migrations/0002), and nodes of theirs. */
const CHANNEL = 'latchkey_policy'
/** Milliseconds in which changes are gathered into one message. */
const GATHER_MS = 2
/** Milliseconds between two looks whether the line still stands, and what such a look may take. */
const LOOK_MS = 1000

/** What a node does with what it hears. */
export type ChangeEar = {
  /** The organization (or `platform`) has reached a revision; null where it is not known which. */
  heard: (home: string, revision: number | null) => void
  /** Something may have been missed: what is known must be compared with the database before the next answer. */
  unsure: () => void
}

/** Tells other nodes of changes, and hears of theirs. Whatever it loses, reading the change log finds. */
export type ChangeLine = {
  /** Tells of a commit; never fails, never waits. */
  announce: (home: string, revision: number | null) => void
  /** Whether changes of other nodes are heard at this moment. */
  isOpen: () => boolean
  stop: () => Promise<void>
}

/**
 * Opens a line between nodes over LISTEN and NOTIFY, on a connection of its own. Nodes notify after their commit, not in it:
 * a commit that notifies takes a lock which all commits of the database share. Behind a pooler that does not keep sessions
 * nothing is heard, and changes are found by reading the log.
 */
export const openChangeLine = (
  { sql, target, log }: { sql: Sql; target: DatabaseTarget; log: Log },
  { heard, unsure }: ChangeEar,
): ChangeLine => {
  let stopped = false
  let backend: number | undefined
  let look: ReturnType<typeof setTimeout> | undefined

  const lost = () => {
    if (backend !== undefined) log.debug({}, 'the line of changes is lost; the log is read instead')
    backend = undefined
    unsure()
  }

  const open = () =>
    connect(target, {
      connectionsMax: 1,
      connectTimeoutSeconds: 2,
      onNotify: (channel, payload) => {
        if (channel === CHANNEL) heard(...read(payload))
      },
      onClose: lost,
    })
  let ear = open()

  /** Listens, again if need be: to listen twice is to listen once, and so it is also the look whether the line stands. */
  const listen = async () => {
    const [row] = await beforeDeadline(
      ear
        .unsafe<{ pid: number }[]>(`listen ${CHANNEL}; select pg_backend_pid() as pid`)
        .then((answers) => answers.at(-1) as unknown as { pid: number }[]),
      LOOK_MS,
    )
    if (row?.pid === backend) return
    backend = row?.pid
    // What was told before this connection listened is in the log.
    unsure()
  }

  const keepListening = async (): Promise<void> => {
    try {
      await listen()
    } catch {
      lost()
      const gone = ear
      ear = open()
      void gone.end({ timeout: 0 }).catch(() => {})
    }
    if (!stopped) look = setTimeout(() => void keepListening(), LOOK_MS)
  }
  void keepListening()

  let gathered = new Map<string, number | null>()
  const send = async () => {
    await new Promise((resolve) => setTimeout(resolve, GATHER_MS))
    const payloads = [...gathered].map(([home, revision]) => `${home} ${revision ?? ''}`)
    gathered = new Map()
    await sql`select pg_notify(${CHANNEL}, payload) from jsonb_array_elements_text(${JSON.stringify(payloads)}::text::jsonb) payload`
  }

  return {
    announce: (home, revision) => {
      if (stopped) return
      const isFirst = gathered.size === 0
      const known = gathered.get(home)
      gathered.set(
        home,
        known === null || revision === null ? null : Math.max(known ?? 0, revision),
      )
      if (isFirst)
        send().catch((error: unknown) =>
          log.debug({ err: error }, 'nobody was told of a change; other nodes find it in the log'),
        )
    },
    isOpen: () => backend !== undefined,
    stop: async () => {
      stopped = true
      clearTimeout(look)
      await ear.end({ timeout: 1 })
    },
  }
}

/** `org_… 17`, as the triggers write it; without a number it is not known which revision was reached. */
const read = (payload: string): [home: string, revision: number | null] => {
  const [home = '', number = ''] = payload.split(' ')
  return [home, /^\d+$/.test(number) ? Number(number) : null]
}
