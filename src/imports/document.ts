import * as v from 'valibot'
import { faultsOf, parse } from '../platform/parse.ts'
import { Problem } from '../platform/problem.ts'
import { createFaults } from './faults.ts'
import { createPace } from './pace.ts'
import {
  ENTRIES_MAX,
  type ImportDocument,
  KINDS,
  type Kind,
  OBJECTS,
  OBJECTS_MAX,
} from './schema.ts'

/** The six lists of a document; the shape of their objects is not known yet. */
export type Lists = Record<Kind, unknown[]>

const LISTS = v.pipe(
  v.unknown(),
  v.check((document) => !Array.isArray(document), 'must be an object'),
  v.strictObject(
    Object.fromEntries(KINDS.map((kind) => [kind, v.optional(v.array(v.unknown()))])) as Record<
      Kind,
      v.OptionalSchema<v.ArraySchema<v.UnknownSchema, undefined>, undefined>
    >,
  ),
)

/** What `kind` says in a line. */
const KIND_OF_LINE: { readonly [kind: string]: Kind } = {
  role: 'roles',
  workspace: 'workspaces',
  member: 'members',
  team: 'teams',
  resource: 'resources',
  grant: 'grants',
}

/**
 * The lists of a document that arrived as one JSON object, or as one JSON object a line: `{"kind": "member", …}` for a
 * single object, or a document of its own; the lines together are the document.
 * @throws Problem 400 for what is no such document, 413 for too many objects
 */
export const readDocument = async ({
  text,
  format,
  sha256,
}: {
  text: string
  format: 'json' | 'ndjson'
  sha256: string
}): Promise<{ lists: Lists; sha256: string }> => {
  const lists: Lists =
    format === 'json'
      ? { ...emptyLists(), ...parse(LISTS, parseJson(text, 'The body is not JSON.')) }
      : await readLines(text)
  refuseTooMany(lists)
  return { lists, sha256 }
}

const emptyLists = (): Lists => ({
  roles: [],
  workspaces: [],
  members: [],
  teams: [],
  resources: [],
  grants: [],
})

const parseJson = (text: string, detail: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    throw new Problem('invalid', 'malformed-request', detail, {
      errors: [{ pointer: '', detail: 'must be JSON' }],
    })
  }
}

const readLines = async (text: string): Promise<Lists> => {
  const lists = emptyLists()
  const pace = createPace()
  let number = 0
  for (let start = 0; start < text.length; ) {
    const newline = text.indexOf('\n', start)
    const end = newline < 0 ? text.length : newline
    const line = text.slice(start, end).trim()
    start = end + 1
    number++
    if (line === '') continue
    await pace()
    addLine(lists, parseJson(line, `Line ${number} is not JSON.`), number)
  }
  return lists
}

const addLine = (lists: Lists, line: unknown, number: number) => {
  if (typeof line === 'object' && line !== null && Object.hasOwn(line, 'kind')) {
    const { kind, ...object } = line as { kind: unknown }
    const name =
      typeof kind === 'string' && Object.hasOwn(KIND_OF_LINE, kind) ? KIND_OF_LINE[kind] : undefined
    if (!name)
      throw new Problem(
        'invalid',
        'invalid-request',
        `Line ${number}: kind must be one of ${Object.keys(KIND_OF_LINE).join(', ')}.`,
      )
    lists[name].push(object)
    return
  }
  const fragment = v.safeParse(LISTS, line)
  if (!fragment.success)
    throw new Problem(
      'invalid',
      'invalid-request',
      `Line ${number} is neither an object with a kind nor a document.`,
    )
  for (const kind of KINDS)
    for (const object of fragment.output[kind] ?? []) lists[kind].push(object)
}

const refuseTooMany = (lists: Lists) => {
  const objects = KINDS.reduce((total, kind) => total + lists[kind].length, 0)
  if (objects > OBJECTS_MAX) throw tooLarge(`${OBJECTS_MAX} objects`)
}

const tooLarge = (bound: string) =>
  new Problem('too-large', 'import-too-large', `A document may have ${bound} at most; split it.`)

/**
 * The document with every object in its shape.
 * @throws Problem 422 that names each object that is not
 */
export const parseObjects = async (lists: Lists): Promise<ImportDocument> => {
  const faults = createFaults()
  const pace = createPace()
  const document = emptyLists()
  for (const kind of KINDS)
    for (const [index, object] of lists[kind].entries()) {
      await pace()
      const parsed = v.safeParse(OBJECTS[kind] as v.GenericSchema, object, { abortPipeEarly: true })
      if (parsed.success) document[kind].push(parsed.output)
      else
        for (const { pointer, detail } of faultsOf(parsed.issues))
          faults.add(`/${kind}/${index}${pointer}`, detail)
    }
  faults.refuse()
  refuseTooManyEntries(document as ImportDocument)
  return document as ImportDocument
}

const refuseTooManyEntries = ({ roles, teams, workspaces }: ImportDocument) => {
  const ofRoles = roles.map(
    (role) => (role.permissions?.length ?? 0) + (role.inherits?.length ?? 0),
  )
  const ofMembers = [...teams, ...workspaces].map(({ members }) => members?.length ?? 0)
  const entries = [...ofRoles, ...ofMembers].reduce((total, count) => total + count, 0)
  if (entries > ENTRIES_MAX)
    throw tooLarge(`${ENTRIES_MAX} entries in the lists of roles, teams and workspaces`)
}
