import postgres from 'postgres'
import { type OnStatement, observe } from './observe.ts'

/** A pool of connections. */
export type Sql = postgres.Sql<{ bigint: number; timestamp: string }>
/** One transaction: what every repository gets. */
export type Transaction = postgres.TransactionSql<{ bigint: number; timestamp: string }>
/** Either of them. */
export type Queryable = postgres.ISql<{ bigint: number; timestamp: string }>
/** A part of a statement. */
export type Fragment = postgres.PendingQuery<postgres.Row[]>

/** Where the database is: a server's URL, or the socket of the embedded one. */
export type DatabaseTarget = { url: string } | { socketPath: string; port: number }

export type ConnectOptions = {
  connectionsMax?: number
  /** Seconds a new connection may take. */
  connectTimeoutSeconds?: number
  /** Seconds after which an unused connection is closed. */
  idleTimeoutSeconds?: number
  onNotice?: (message: string) => void
  /** What arrives on channels that a connection of the pool listens to. */
  onNotify?: (channel: string, payload: string) => void
  /** A connection of the pool was closed. */
  onClose?: () => void
  /** What was run, and how long it took. */
  onStatement?: OnStatement | undefined
}

/** Seconds between two tries to reach a database that is away. */
const RETRY_SECONDS = 0.1

const RFC3339_OF_POSTGRES = (text: string) => new Date(text).toISOString()

/**
 * Opens a pool. Columns are camelCase in code and snake_case in SQL, times are RFC 3339 text, bigints are numbers
 * (revisions and counters stay far below 2^53).
 */
export const connect = (target: DatabaseTarget, options: ConnectOptions = {}): Sql => {
  const shared = {
    // The embedded database has one session, and its socket server mixes up the messages of several connections
    // (docs/decisions/0001-one-embedded-connection.md).
    max: 'url' in target ? (options.connectionsMax ?? 10) : 1,
    connect_timeout: options.connectTimeoutSeconds ?? 5,
    idle_timeout: options.idleTimeoutSeconds,
    // A database that is away is tried again soon: questions wait for it, and fail closed at their deadline.
    backoff: () => RETRY_SECONDS,
    ...(options.onNotify ? { onnotify: options.onNotify } : {}),
    ...(options.onClose ? { onclose: options.onClose } : {}),
    onnotice: (notice: { message?: string }) => options.onNotice?.(notice.message ?? ''),
    transform: { undefined: null, column: { from: postgres.toCamel, to: postgres.fromCamel } },
    connection: { application_name: 'latchkey' },
    types: {
      bigint: { to: 20, from: [20], serialize: String, parse: Number },
      timestamp: {
        to: 1184,
        from: [1082, 1114, 1184],
        serialize: (time: string | Date) => (time instanceof Date ? time.toISOString() : time),
        parse: RFC3339_OF_POSTGRES,
      },
    },
  }
  const sql =
    'url' in target
      ? postgres(target.url, shared)
      : postgres({
          ...shared,
          host: target.socketPath,
          path: target.socketPath,
          port: target.port,
          database: 'postgres',
          username: 'postgres',
          password: 'postgres',
        })
  const { onStatement } = options
  if (onStatement) observe(sql as unknown as Sql, onStatement)
  return guardTransactions(sql as unknown as Sql, onStatement)
}

/** The connection of a transaction is gone: whatever it has done is undone, and nothing more may be said in its name. */
class TransactionGone extends Error {
  readonly code = 'CONNECTION_CLOSED'
  constructor() {
    super('the connection of this transaction was closed')
  }
}

type Work = (tx: Transaction) => unknown
const never = () => new Promise<never>(() => {})

/**
 * The driver goes on speaking for a transaction whose connection was closed: to nobody, which ends the process
 * (porsager/postgres#1154), or, once the connection is made anew, outside of any transaction and without its role. Here
 * such statements are refused, and nothing is rolled back or committed any more.
 */
const guardTransactions = (sql: Sql, onStatement?: OnStatement): Sql => {
  const begin = sql.begin.bind(sql) as (...given: unknown[]) => Promise<unknown>
  const guardedBegin = (...given: unknown[]) => {
    const work = given.pop() as Work
    let isGone = false
    const gone = () => isGone
    const done = begin(...given, guardedWork(work, gone, onStatement))
    done.catch(() => {
      isGone = true
    })
    return done
  }
  return Object.assign(sql, { begin: guardedBegin })
}

const guardedWork =
  (work: Work, gone: () => boolean, onStatement: OnStatement | undefined): Work =>
  async (tx) => {
    if (onStatement) observe(tx, onStatement)
    try {
      const result = work(guardedTransaction(tx, gone, onStatement))
      const value = await (Array.isArray(result) ? Promise.all(result) : result)
      return gone() ? await never() : value
    } catch (error) {
      // A connection that was closed says so in the same turn.
      await new Promise((resolve) => setTimeout(resolve, 0))
      if (gone()) return never()
      throw error
    }
  }

const guardedTransaction = (
  tx: Transaction,
  gone: () => boolean,
  onStatement: OnStatement | undefined,
): Transaction => {
  const refused = () => {
    const rejection = Promise.reject(new TransactionGone())
    rejection.catch(() => {})
    return rejection
  }
  return new Proxy(tx, {
    apply: (target, self, given: unknown[]) =>
      gone() && Array.isArray((given[0] as { raw?: unknown } | undefined)?.raw)
        ? refused()
        : Reflect.apply(target as never, self, given),
    get: (target, name) => {
      const value = Reflect.get(target, name)
      if (name === 'unsafe')
        return (...given: unknown[]) => (gone() ? refused() : Reflect.apply(value, target, given))
      if (name === 'savepoint')
        return (...given: unknown[]) => {
          const work = given.pop() as Work
          return gone()
            ? refused()
            : Reflect.apply(value, target, [...given, guardedWork(work, gone, onStatement)])
        }
      return value
    },
  })
}
