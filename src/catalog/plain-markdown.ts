/** What begins HTML. An address in angle brackets is a link. */
const BEGINS = /<(?!https?:\/\/[^<>\s]*>|mailto:[^<>\s]*>)(?=[a-zA-Z/!?])/g
const WHOLE = /<(?!https?:\/\/[^<>\s]*>|mailto:[^<>\s]*>)[a-zA-Z/!?][^<>]*>/g

/** Takes tags out until none is left; what still looks like the beginning of one is shown as it is written. */
const withoutTags = (text: string): string => {
  const less = text.replace(WHOLE, '')
  return less === text ? text.replace(BEGINS, '&lt;') : withoutTags(less)
}

/**
 * Markdown with its raw HTML removed. Fenced code that begins at the margin stays as it is: there all readers of Markdown agree
 * where it ends. A check refuses HTML before anything is listed; this stands behind it.
 */
export const withoutHtml = (markdown: string): string => {
  const parts: string[] = []
  let prose: string[] = []
  let fence: string | undefined
  const endProse = () => {
    if (prose.length > 0) parts.push(withoutTags(prose.join('\n')))
    prose = []
  }
  for (const line of markdown.split(/\r\n?|\n/)) {
    const opened: RegExpExecArray | null =
      fence === undefined ? /^(`{3,})[^`]*$|^(~{3,})/.exec(line) : null
    if (fence === undefined && !opened) {
      prose.push(line)
      continue
    }
    endProse()
    parts.push(line)
    if (opened) fence = opened[1] ?? opened[2]
    else if (isEnd(line, fence!)) fence = undefined
  }
  endProse()
  return parts.join('\n')
}

const isEnd = (line: string, fence: string) => {
  const [, run] = /^ {0,3}(`+|~+)[ \t]*$/.exec(line) ?? []
  return run !== undefined && run[0] === fence[0] && run.length >= fence.length
}
