import { Problem } from '../platform/problem.ts'

/** It will not come to anything by being tried again; the reason is for people. */
export class Refused extends Error {}

/** The server or the connection to it is away. */
const LOST =
  /^(?:08|57P|58)|^(?:CONNECTION_|CONNECT_TIMEOUT|ECONN|EPIPE|ETIMEDOUT|ENOTFOUND|ENOENT)/

const WORDS: Record<string, string> = {
  '55P03':
    'an old transaction, or somebody who changes the table, was waited for in vain (lock timeout)',
  '57014': 'it was canceled',
  '53100': 'the disk is full',
  '53200': 'the server has no memory left for it',
  '53400': 'a limit of the server on temporary files was reached',
  '40P01': 'it and another transaction waited for each other (deadlock)',
  '42501': 'the account of this server may not do that',
}

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error ? String(error.code) : ''

/** Whether what happened may pass by itself: others in the way, or a connection that was lost. */
export const isPassing = (error: unknown): boolean => {
  const code = codeOf(error)
  return LOST.test(code) || code === '55P03' || code === '40P01'
}

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error))

/** What happened, for people. */
export const reasonOf = (error: unknown): string => {
  const code = codeOf(error)
  if (error instanceof Problem) return error.detail
  if (error instanceof Refused || code === '') return messageOf(error)
  if (LOST.test(code)) return `the connection to the database was lost (${messageOf(error)})`
  return WORDS[code] ? `${WORDS[code]}: ${messageOf(error)}` : messageOf(error)
}
