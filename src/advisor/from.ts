import { note, noteReferenced, readCondition } from './condition.ts'
import type { Block } from './relation.ts'
import { type Output, resolve, type Scope } from './scope.ts'
import { type Fields, isFields, namesIn, nodeIn } from './sql-node.ts'
import { addTable, aliasOf, joinedBy, type Reader, renamed } from './tables.ts'

/** Adds what a FROM names. */
export const addFrom = (reader: Reader, value: unknown, scope: Scope, block: Block): void => {
  const node = nodeIn(value)
  if (!node) return
  const { kind, fields } = node
  if (kind === 'RangeVar') {
    const relation = addTable(reader, fields, scope)
    if (relation) block.relations.push(relation)
  } else if (kind === 'RangeTableSample') addFrom(reader, fields.relation, scope, block)
  else if (kind === 'RangeSubselect') {
    const outputs = reader.readStatement(reader, fields.subquery, scope)
    scope.sources.push({ alias: aliasOf(fields) ?? '', outputs: renamed(outputs, fields) })
  } else if (kind === 'RangeFunction') {
    readValue(reader, fields.functions, scope)
    scope.sources.push({ alias: aliasOf(fields) ?? '', outputs: [] })
  } else if (kind === 'JoinExpr') {
    const before = scope.sources.length
    addFrom(reader, fields.larg, scope, block)
    const middle = scope.sources.length
    addFrom(reader, fields.rarg, scope, block)
    note(joinedBy(namesIn(fields.usingClause), scope, before, middle))
    readWhere(reader, fields.quals, scope)
  }
}

/** Notes the columns of a value, and reads the subqueries in it. */
export const readValue = (reader: Reader, value: unknown, scope: Scope): void => {
  noteReferenced(value, (names) => {
    if (names.length === 0) return []
    return resolve(scope, names)
  })
  const visit = (each: unknown): void => {
    if (Array.isArray(each)) each.forEach(visit)
    else if (isFields(each))
      for (const [kind, inner] of Object.entries(each)) {
        if (kind === 'SubLink' && isFields(inner)) readSublink(reader, inner, scope)
        else visit(inner)
      }
  }
  visit(value)
}

export const readSublink = (reader: Reader, fields: Fields, scope: Scope): Output[] => {
  const known = reader.sublinks.get(fields)
  if (known) return known
  const outputs = reader.readStatement(reader, fields.subselect, scope)
  reader.sublinks.set(fields, outputs)
  readValue(reader, fields.testexpr, scope)
  return outputs
}

/** Reads a condition that all rows meet. */
export const readWhere = (reader: Reader, value: unknown, scope: Scope): void => {
  if (value === undefined) return
  readValue(reader, value, scope)
  note(readCondition(value, scope, (fields) => readSublink(reader, fields, scope)))
}
