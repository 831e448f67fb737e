/** The texts of a name's TXT records, each put together of its parts; none where there are none. @throws DnsUnavailable */
export type ResolveTxt = (name: string, signal: AbortSignal) => Promise<string[]>

/** Nobody could say whether there are records: a server that is away or that failed, which is no answer about the name. */
export class DnsUnavailable extends Error {}

const TXT = 16
const NOERROR = 0
const NXDOMAIN = 3
const BYTES_MAX = 64 * 1024

type Answer = { Status?: number; Answer?: { type?: number; data?: string }[] }

/**
 * DNS over HTTPS in its JSON form, for runtimes without DNS of their own.
 * @param url of the resolver, such as https://cloudflare-dns.com/dns-query
 */
export const resolveTxtOverHttps =
  (url: string, send: typeof fetch = fetch): ResolveTxt =>
  async (name, signal) => {
    const asked = new URL(url)
    asked.searchParams.set('name', name)
    asked.searchParams.set('type', 'TXT')
    const text = await send(asked, { headers: { accept: 'application/dns-json' }, signal })
      .then(async (response) => (response.ok ? response.text() : ''))
      .catch((error: unknown) => {
        signal.throwIfAborted()
        throw new DnsUnavailable('the resolver cannot be reached', { cause: error })
      })
    const { Status, Answer: records = [] } = readAnswer(text)
    if (Status === NXDOMAIN) return []
    if (Status !== NOERROR) throw new DnsUnavailable('the resolver could not answer')
    return records.flatMap(({ type, data }) =>
      type === TXT && typeof data === 'string' ? [joined(data)] : [],
    )
  }

const readAnswer = (text: string): Answer => {
  if (text.length > BYTES_MAX) return {}
  try {
    const answer: unknown = JSON.parse(text)
    return typeof answer === 'object' && answer !== null ? answer : {}
  } catch {
    return {}
  }
}

/** `"one" "two"` as `onetwo`: a record's parts have 255 bytes at most, and mean nothing by themselves. */
const joined = (data: string) =>
  data.startsWith('"')
    ? [...data.matchAll(/"((?:[^"\\]|\\.)*)"/g)]
        .map(([, part = '']) => part.replace(/\\(.)/g, '$1'))
        .join('')
    : data
