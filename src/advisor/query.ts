import { addFrom, readValue, readWhere } from './from.ts'
import type { Block } from './relation.ts'
import { createScope, type Output, outputsOf, resolve, type Scope } from './scope.ts'
import { readOrder } from './sorting.ts'
import { type Fields, fieldsIn, isFields, lastNameIn, listIn, namesIn, nodeIn } from './sql-node.ts'
import { addTable, type Reader } from './tables.ts'

const readWith = (reader: Reader, value: unknown, scope: Scope): void => {
  const fields = isFields(value) ? value : {}
  for (const each of listIn(fields.ctes)) {
    const query = fieldsIn(each, 'CommonTableExpr') ?? {}
    const name = String(query.ctename)
    if (fields.recursive) scope.queries.set(name, [])
    const outputs = readStatement(reader, query.ctequery, scope)
    const names = namesIn(query.aliascolnames)
    const isApart = query.ctematerialized === 'CTEMaterializeAlways' || fields.recursive === true
    scope.queries.set(
      name,
      outputs.map((output, at) => ({
        name: names[at] ?? output.name,
        // What is asked of its rows afterwards does not reach the tables in it.
        columns: isApart ? [] : output.columns,
      })),
    )
  }
}

const starOutputs = (names: string[], scope: Scope): Output[] =>
  scope.sources
    .filter(({ alias }) => names.length === 0 || alias === names.at(-1))
    .flatMap(outputsOf)

/** What a select list answers with. */
const readTargets = (reader: Reader, value: unknown, scope: Scope): Output[] =>
  listIn(value).flatMap((each): Output[] => {
    const { name, val } = fieldsIn(each, 'ResTarget') ?? {}
    const column = fieldsIn(val, 'ColumnRef')
    const names = namesIn(column?.fields)
    if (column && listIn(column.fields).some((part) => nodeIn(part)?.kind === 'A_Star')) {
      const outputs = starOutputs(names, scope)
      for (const { relation, column: one } of outputs.flatMap(({ columns }) => columns))
        relation.referenced.add(one)
      return outputs
    }
    readValue(reader, val, scope)
    const called = fieldsIn(val, 'FuncCall')
    const usual = names.at(-1) ?? (called ? lastNameIn(called.funcname) : '?column?')
    return [
      { name: (name as string | undefined) ?? usual, columns: column ? resolve(scope, names) : [] },
    ]
  })

const createBlock = (reader: Reader): Block => {
  const block: Block = { relations: [], order: null, isGrouped: false, limit: null }
  reader.references.blocks.push(block)
  return block
}

/** Outputs of both sides of a UNION: a condition on one is one on both. */
const unite = (one: Output[], other: Output[]): Output[] =>
  one.map(({ name, columns }, at) => ({
    name,
    columns: [...columns, ...(other[at]?.columns ?? [])],
  }))

const readSelect = (reader: Reader, fields: Fields, parent: Scope | null): Output[] => {
  const scope = createScope(parent)
  readWith(reader, fields.withClause, scope)
  if (fields.op !== undefined && fields.op !== 'SETOP_NONE') {
    const [one, other] = [fields.larg, fields.rarg].map((each) =>
      readSelect(reader, each as Fields, scope),
    )
    return unite(one!, other!)
  }
  const block = createBlock(reader)
  for (const each of listIn(fields.fromClause)) addFrom(reader, each, scope, block)
  readWhere(reader, fields.whereClause, scope)
  const outputs = readTargets(reader, fields.targetList, scope)
  readValue(reader, [fields.havingClause, fields.valuesLists], scope)
  readOrder(fields, scope, outputs, block, (value) => readValue(reader, value, scope))
  return outputs
}

const readWrite = (
  reader: Reader,
  kind: string,
  fields: Fields,
  parent: Scope | null,
): Output[] => {
  const scope = createScope(parent)
  readWith(reader, fields.withClause, scope)
  if (kind === 'InsertStmt') {
    readStatement(reader, fields.selectStmt, scope)
    return []
  }
  const block = createBlock(reader)
  const relation = addTable(reader, fields.relation as Fields, scope)
  if (relation) block.relations.push(relation)
  const froms = [fields.fromClause, fields.usingClause].flatMap(listIn)
  for (const each of [...froms, fields.sourceRelation]) addFrom(reader, each, scope, block)
  readWhere(reader, fields.whereClause ?? fields.joinCondition, scope)
  const whens = listIn(fields.mergeWhenClauses).map(
    (each) => fieldsIn(each, 'MergeWhenClause') ?? {},
  )
  const targets = [fields, ...whens].flatMap((each) => listIn(each.targetList))
  readValue(reader, [targets, whens.map((each) => each.condition)], scope)
  const isUpdate = kind === 'UpdateStmt' || whens.some((each) => each.commandType === 'CMD_UPDATE')
  const columns = targets.map((each) => String(fieldsIn(each, 'ResTarget')?.name))
  if (relation && isUpdate) reader.references.updates.push({ table: relation.table, columns })
  // A changed row is written whole, so that no index alone answers.
  for (const { name } of relation?.table.columns ?? []) relation?.referenced.add(name)
  const returned = (fields.returningClause ?? {}) as Fields
  return readTargets(reader, returned.exprs, scope)
}

/** Reads a statement; gives what its rows are made of. */
export const readStatement = (reader: Reader, value: unknown, parent: Scope | null): Output[] => {
  const node = nodeIn(value)
  if (!node) return []
  if (node.kind === 'SelectStmt') return readSelect(reader, node.fields, parent)
  const isWrite = ['InsertStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt'].includes(node.kind)
  return isWrite ? readWrite(reader, node.kind, node.fields, parent) : []
}
