import { Option } from 'commander'
import { CommandError } from './failure.ts'

/** Where the server is and who calls it. */
export type Remote = { url: string; key: string }

/** `--url` and `--key`, or the environment. */
export const remoteOptions = () => [
  new Option('--url <url>', 'where the server is')
    .env('LATCHKEY_URL')
    .default('http://127.0.0.1:8080'),
  new Option('--key <key>', 'an API key').env('LATCHKEY_KEY').makeOptionMandatory(),
]

type ProblemBody = {
  detail?: string
  code?: string
  errors?: { pointer: string; detail: string }[]
}

const ERRORS_SHOWN = 20

/** What the server refused, with the code it named. */
export class Refused extends CommandError {
  readonly code: string

  constructor(message: string, code: string) {
    super(message)
    this.code = code
  }
}

/** The server's refusal in one line, and the places it names below it. */
const failureOf = (status: number, { detail, code, errors = [] }: ProblemBody) =>
  new Refused(
    [
      detail ?? `the server answered ${status}`,
      ...errors.slice(0, ERRORS_SHOWN).map((fault) => `  ${fault.pointer || '/'}: ${fault.detail}`),
      ...(errors.length > ERRORS_SHOWN ? [`  … and ${errors.length - ERRORS_SHOWN} more`] : []),
    ].join('\n'),
    code ?? `status-${status}`,
  )

/** Asks the server. @throws CommandError with what it refused, or when it cannot be reached */
export const ask = async <Body>(
  { url, key }: Remote,
  method: string,
  path: string,
  body?: string | ReadableStream,
  contentType = 'application/json',
): Promise<Body> => {
  const request: RequestInit & { duplex?: 'half' } = {
    method,
    headers: {
      authorization: `Bearer ${key}`,
      ...(body === undefined ? {} : { 'content-type': contentType }),
    },
    ...(body === undefined ? {} : { body, duplex: 'half' }),
  }
  if (!URL.canParse(path, url)) throw new CommandError(`${url} is not the address of a server`)
  const response = await fetch(new URL(path, url), request).catch(() => {
    throw new CommandError(`no server answers at ${url}; is it running? (--url, LATCHKEY_URL)`)
  })
  const text = await response.text()
  if (response.ok) return (text === '' ? undefined : JSON.parse(text)) as Body
  const isProblem = response.headers.get('content-type')?.includes('problem+json')
  throw failureOf(response.status, isProblem ? (JSON.parse(text) as ProblemBody) : {})
}
