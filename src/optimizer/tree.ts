/** One node of the parser's tree. */
export type SqlNode = { kind: string; fields: Record<string, unknown>; depth: number }

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** All nodes of a tree, without recursion: how deep it is, its author decides. */
export const nodesOf = (tree: object): SqlNode[] => {
  const found: SqlNode[] = []
  const open: { value: unknown; depth: number }[] = [{ value: tree, depth: 0 }]
  for (let next = open.pop(); next; next = open.pop()) {
    const { value, depth } = next
    if (Array.isArray(value)) for (const each of value) open.push({ value: each, depth })
    else if (isRecord(value))
      for (const [kind, fields] of Object.entries(value)) {
        // Where the grammar leaves no choice the kind is not named; this one must be seen.
        const isNode = /^[A-Z]|^intoClause$/.test(kind)
        if (isNode && isRecord(fields)) found.push({ kind, fields, depth })
        open.push({ value: fields, depth: depth + 1 })
      }
  }
  return found
}

/** The kind and fields of a value that is one node. */
export const nodeIn = (value: unknown): Omit<SqlNode, 'depth'> | undefined => {
  if (!isRecord(value)) return undefined
  const [first] = Object.entries(value)
  if (!first || !isRecord(first[1])) return undefined
  return { kind: first[0], fields: first[1] }
}

/** The parts of a name: `pg_catalog.lower` has two. */
export const namesIn = (value: unknown): string[] =>
  (Array.isArray(value) ? value : []).flatMap((each) => {
    const node = nodeIn(each)
    return node?.kind === 'String' ? [String(node.fields.sval ?? '')] : []
  })
