import type { Sql, Transaction } from '../../src/platform/db/connect.ts'

export type Watching = {
  /** Told of every statement before it is sent. */
  onStatement?: (text: string) => void
  /** Changes what the database answers to some statements, or keeps it back: so mistakes are planted, and races won. */
  plant?: {
    matches: RegExp
    // biome-ignore lint/suspicious/noExplicitAny: rows of every shape
    change: (rows: any[]) => void | Promise<void>
  }
}

type Call = (...given: unknown[]) => unknown

/** A pool whose statements and answers can be looked at. The database behind it is a real one. */
export const watchedSql = (sql: Sql, { onStatement, plant }: Watching): Sql => {
  const answered = (text: string, pending: Promise<unknown[]>) => {
    onStatement?.(text)
    if (!plant?.matches.test(text)) return pending
    return pending.then(async (rows) => {
      await plant.change(rows)
      return rows
    })
  }
  const watch = <Connection extends Sql | Transaction>(connection: Connection): Connection =>
    new Proxy(connection, {
      apply: (target, self, given: unknown[]) => {
        const pending = Reflect.apply(target as never, self, given) as never
        const strings = given[0] as (readonly string[] & { raw?: unknown }) | undefined
        return strings?.raw ? answered(strings.join('?'), pending) : pending
      },
      get: (target, name) => {
        const value = Reflect.get(target, name)
        if (name === 'unsafe')
          return (text: string, ...rest: unknown[]) =>
            answered(text, (value as Call).apply(target, [text, ...rest]) as Promise<unknown[]>)
        if (name === 'begin')
          return (...given: unknown[]) => {
            const work = given.pop() as (tx: Transaction) => unknown
            return (value as Call).apply(target, [...given, (tx: Transaction) => work(watch(tx))])
          }
        return value
      },
    })
  return watch(sql)
}
