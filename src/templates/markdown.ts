/** What Markdown must not hold where strangers read it. */
export type MarkdownFault = { detail: string; isFatal: boolean }

/** Fenced code that begins at the margin: only there every reader of Markdown agrees where it ends. */
const withoutFences = (text: string): string => {
  const kept: string[] = []
  let fence: string | undefined
  for (const line of text.split(/\r\n?|\n/)) {
    const opened = /^(`{3,})[^`]*$|^(~{3,})/.exec(line)
    if (fence === undefined && opened) fence = opened[1] ?? opened[2]!
    else if (fence === undefined) kept.push(line)
    else if (isEnd(line, fence)) fence = undefined
  }
  return kept.join('\n')
}

const isEnd = (line: string, fence: string) => {
  const [, run] = /^ {0,3}(`+|~+)[ \t]*$/.exec(line) ?? []
  return run !== undefined && run[0] === fence[0] && run.length >= fence.length
}

/** `<p`, `</p`, `<!--`, `<?`: all that begins HTML. An address in angle brackets is a link. */
const HTML = /<(?!https?:\/\/[^<>\s]*>|mailto:[^<>\s]*>)[a-zA-Z/!?]/
/** The target of a link: inline, or of a reference. */
const TARGETS = /\]\s{0,1000}\(\s{0,1000}<?([^)>]*)|\[[^\]]{1,1000}\]:\s{0,1000}<?(\S+)/g
const IMAGE = /!\[[^\]]{0,1000}\]\s?[([]/

/** A target as a browser would read it: without what it passes over, and with what it would decode. */
const readTarget = (target: string) =>
  target
    .replace(/&#x([0-9a-f]{1,6});?/gi, (_, code: string) => characterOf(Number.parseInt(code, 16)))
    .replace(/&#(\d{1,7});?/g, (_, code: string) => characterOf(Number(code)))
    .replace(/\\(?=[!-/:-@[-`{-~])/g, '')
    .replace(/[\p{C}\s]/gu, '')

const characterOf = (code: number) => (code <= 0x10ffff ? String.fromCodePoint(code) : '')

const isOpen = (target: string) => {
  const read = readTarget(target)
  const [beforePath = ''] = read.split(/[/?#]/, 1)
  // A name of HTML could stand for the colon.
  if (beforePath.includes('&')) return false
  const scheme = /^([^:]*):/.exec(beforePath)?.[1]?.toLowerCase()
  return scheme === undefined || ['http', 'https', 'mailto'].includes(scheme)
}

/**
 * What makes a text unfit to be shown to others: raw HTML, links that run something, and pictures of other servers, which tell
 * those who looks. HTML in a line of code is refused as well, because readers of Markdown do not agree where such code ends;
 * in a fenced block at the margin it is fine.
 */
export const faultsOfMarkdown = (text: string): MarkdownFault[] => {
  const prose = withoutFences(text)
  const faults: MarkdownFault[] = []
  if (HTML.test(prose))
    faults.push({ detail: 'holds HTML; write code with tags as a fenced block', isFatal: true })
  const targets = [...prose.matchAll(TARGETS)].map(([, ...found]) => found.find(Boolean) ?? '')
  if (!targets.every(isOpen))
    faults.push({
      detail: 'holds a link that is neither http, https nor mailto',
      isFatal: true,
    })
  if (IMAGE.test(prose))
    faults.push({ detail: 'holds a picture, which is not fetched from elsewhere', isFatal: false })
  return faults
}
