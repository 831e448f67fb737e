/** The members of a node of the parser's tree. */
export type Fields = Record<string, unknown>
/** One node of it: what it is and its members. */
export type SqlNode = { kind: string; fields: Fields }

export const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** The value as a node; undefined if it is none. */
export const nodeIn = (value: unknown): SqlNode | undefined => {
  if (!isFields(value)) return undefined
  const [first] = Object.entries(value)
  return first && /^[A-Z]/.test(first[0]) && isFields(first[1])
    ? { kind: first[0], fields: first[1] }
    : undefined
}

/** The members of the value where it is a node of this kind. */
export const fieldsIn = (value: unknown, kind: string): Fields | undefined => {
  const node = nodeIn(value)
  return node?.kind === kind ? node.fields : undefined
}

export const listIn = (value: unknown): unknown[] => (Array.isArray(value) ? value : [])

/** The parts of a name: `pg_catalog.lower` has two. */
export const namesIn = (value: unknown): string[] =>
  listIn(value).flatMap((each) => {
    const fields = fieldsIn(each, 'String')
    return fields ? [String(fields.sval ?? '')] : []
  })

/** The last part of a name. */
export const lastNameIn = (value: unknown): string => namesIn(value).at(-1) ?? ''
