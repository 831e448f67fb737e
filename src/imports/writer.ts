import { type ExportOptions, KINDS, type Kind } from './schema.ts'

const OBJECTS_PER_PIECE = 500

const LINE_KINDS = {
  roles: 'role',
  members: 'member',
  teams: 'team',
  workspaces: 'workspace',
  resources: 'resource',
  grants: 'grant',
} as const satisfies Record<Kind, string>

export type Writer = ReturnType<typeof createWriter>

/** Collects the objects of a document as text, either as one JSON object or as one object a line. */
export const createWriter = (format: ExportOptions['format']) => {
  const texts: Record<Kind, string[]> = {
    roles: [],
    members: [],
    teams: [],
    workspaces: [],
    resources: [],
    grants: [],
  }
  const add = (kind: Kind, object: object) => {
    texts[kind].push(
      format === 'json'
        ? JSON.stringify(object)
        : `${JSON.stringify({ kind: LINE_KINDS[kind], ...object })}\n`,
    )
  }
  const end = () =>
    format === 'json'
      ? { contentType: 'application/json', pieces: documentOf(texts) }
      : { contentType: 'application/x-ndjson', pieces: linesOf(texts) }
  return { add, end }
}

const documentOf = function* (texts: Record<Kind, string[]>): Generator<string> {
  for (const [index, kind] of KINDS.entries()) {
    yield `${index === 0 ? '{' : ','}"${kind}":[`
    for (let at = 0; at < texts[kind].length; at += OBJECTS_PER_PIECE)
      yield (at === 0 ? '' : ',') + texts[kind].slice(at, at + OBJECTS_PER_PIECE).join(',')
    yield ']'
  }
  yield '}'
}

const linesOf = function* (texts: Record<Kind, string[]>): Generator<string> {
  for (const kind of KINDS)
    for (let at = 0; at < texts[kind].length; at += OBJECTS_PER_PIECE)
      yield texts[kind].slice(at, at + OBJECTS_PER_PIECE).join('')
}
