/** A request with what its answer must look like. */
export type Shot = {
  readonly body: string
  /** The answer holds this text as often as `times` says. */
  readonly expect: string
  readonly times: number
}

/** The text of a chunked body once its last chunk is there. */
const unchunk = (text: string): string | undefined => {
  let body = ''
  for (let at = 0; ; ) {
    const end = text.indexOf('\r\n', at)
    const size = end < 0 ? Number.NaN : Number.parseInt(text.slice(at, end), 16)
    if (Number.isNaN(size) || text.length < end + size + 4) return undefined
    if (size === 0) return body
    body += text.slice(end + 2, end + 2 + size)
    at = end + 2 + size + 2
  }
}

/** The body of a whole answer; undefined while some of it is missing. */
export const bodyOf = (text: string): string | undefined => {
  const end = text.indexOf('\r\n\r\n')
  if (end < 0) return undefined
  const head = text.slice(0, end)
  const rest = text.slice(end + 4)
  const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1]
  if (length === undefined) return unchunk(rest)
  return rest.length < Number(length) ? undefined : rest
}

/** Whether an answer is the one that is known. */
export const holds = (answer: string, { expect, times }: Shot): boolean => {
  let count = 0
  for (let at = answer.indexOf(expect); at >= 0; at = answer.indexOf(expect, at + 1)) count += 1
  return count === times
}
