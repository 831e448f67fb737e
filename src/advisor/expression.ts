import { quoteIdentifier } from './candidate.ts'
import { type Fields, fieldsIn, lastNameIn, listIn, namesIn, nodeIn } from './sql-node.ts'

/** A constant: as SQL and as the text that statistics have of it. */
export type Constant = { sql: string; value: string }

/** Functions that give the same for the same for ever, whatever is set: what an index may be built on. */
const IMMUTABLE = new Set(
  `lower upper initcap btrim ltrim rtrim length char_length md5 abs floor ceil round trunc left right reverse substr
  substring split_part replace strpos coalesce nullif`.split(/\s+/),
)
const OPERATORS = new Set(['->', '->>', '#>', '#>>', '+', '-', '*', '/', '%'])
/** Types that a text becomes the same of whatever is set. */
const CASTS: Record<string, string> = {
  ...{ int2: 'smallint', int4: 'integer', int8: 'bigint', numeric: 'numeric', bool: 'boolean' },
  ...{ uuid: 'uuid', float8: 'double precision', text: 'text' },
}

export const quoteText = (text: string): string => `'${text.replaceAll("'", "''")}'`

const ofConstant = (fields: Fields): Constant | undefined => {
  const inner = (name: string) => fields[name] as Fields | undefined
  if (fields.isnull) return undefined
  if (inner('sval')) {
    const value = String(inner('sval')!.sval ?? '')
    return { sql: quoteText(value), value }
  }
  if (inner('boolval')) {
    const isTrue = inner('boolval')!.boolval === true
    return { sql: String(isTrue), value: isTrue ? 't' : 'f' }
  }
  const number = inner('ival') ? String(inner('ival')!.ival ?? 0) : inner('fval')?.fval
  return number === undefined ? undefined : { sql: String(number), value: String(number) }
}

/** The constant that a value is, with or without a cast; undefined if it is none. */
export const constantOf = (value: unknown): Constant | undefined => {
  const node = nodeIn(value)
  if (node?.kind === 'A_Const') return ofConstant(node.fields)
  if (node?.kind === 'A_Expr' && lastNameIn(node.fields.name) === '-' && !node.fields.lexpr) {
    const inner = constantOf(node.fields.rexpr)
    return inner && { sql: `-${inner.sql}`, value: `-${inner.value}` }
  }
  if (node?.kind !== 'TypeCast') return undefined
  const inner = constantOf(node.fields.arg)
  const { names, arrayBounds } = (node.fields.typeName ?? {}) as Fields
  if (!inner) return undefined
  // What a cast makes of a text that is no plain value (now, an array) is not known here.
  if (arrayBounds) return undefined
  const type = lastNameIn(names)
  if (type === 'bool' && /^'[tf]'$/.test(inner.sql))
    return { sql: inner.value === 't' ? 'true' : 'false', value: inner.value }
  return type in CASTS || ['varchar', 'bpchar', 'unknown'].includes(type) ? inner : undefined
}

/** A column that an expression names: how it is called in its table, and its type. */
export type Named = { name: string; type: string; category: string }
export type Naming = (names: string[]) => Named | undefined

const castText = (fields: Fields, named: Naming) => {
  const type = lastNameIn((fields.typeName as Fields | undefined)?.names)
  const constant = constantOf(fields.arg)
  if (constant && (type === 'text' || type in CASTS)) return constant.sql
  const column = columnNamed(fields.arg, named)
  const isText = column ? column.category === 'S' : isTextual(fields.arg)
  const inner = expressionText(fields.arg, named)
  if (inner === undefined || !isText || !(type in CASTS)) return undefined
  return type === 'text' ? inner : `(${inner})::${CASTS[type]}`
}

const columnNamed = (value: unknown, named: Naming) => {
  const fields = fieldsIn(value, 'ColumnRef')
  return fields && named(namesIn(fields.fields))
}

const isTextual = (value: unknown): boolean => {
  const node = nodeIn(value)
  if (node?.kind === 'A_Expr') return ['->>', '#>>'].includes(lastNameIn(node.fields.name))
  return (
    node?.kind === 'FuncCall' &&
    ['lower', 'upper', 'btrim'].includes(lastNameIn(node.fields.funcname))
  )
}

const isImmutable = (name: string, given: unknown[], named: Naming): boolean => {
  if (IMMUTABLE.has(name)) return true
  if (given.length !== 2) return false
  // Days begin when a time zone says so, words end where a configuration does: both must be given.
  if (name === 'date_trunc')
    return columnNamed(given[1], named)?.type === 'timestamp without time zone'
  return name === 'to_tsvector' && /^\w+$/.test(constantOf(regconfigless(given[0]))?.value ?? '')
}

/** `'english'::regconfig` without the cast that plans write. */
const regconfigless = (value: unknown): unknown => {
  const cast = fieldsIn(value, 'TypeCast')
  const type = lastNameIn((cast?.typeName as Fields | undefined)?.names)
  return cast && type === 'regconfig' ? cast.arg : value
}

const functionText = (fields: Fields, named: Naming): string | undefined => {
  const name = lastNameIn(fields.funcname)
  const given = listIn(fields.args)
  if (fields.over || fields.agg_distinct || given.length === 0) return undefined
  if (!isImmutable(name, given, named)) return undefined
  const texts = given.map((each) => expressionText(regconfigless(each), named))
  if (texts.some((each) => each === undefined)) return undefined
  if (name === 'to_tsvector') texts[0] += '::regconfig'
  return `${name}(${texts.join(', ')})`
}

/**
 * An expression as an index may be built on it, always in the same words; undefined where it names no column that
 * `named` knows or may one day give something else for the same row.
 */
export const expressionText = (value: unknown, named: Naming): string | undefined => {
  const node = nodeIn(value)
  if (!node) return undefined
  const { kind, fields } = node
  if (kind === 'ColumnRef') {
    const column = named(namesIn(fields.fields))
    return column && quoteIdentifier(column.name)
  }
  if (kind === 'A_Const') return constantOf(value)?.sql
  if (kind === 'TypeCast') return castText(fields, named)
  if (kind === 'FuncCall') return functionText(fields, named)
  if (kind === 'CoalesceExpr') {
    const texts = listIn(fields.args).map((each) => expressionText(each, named))
    return texts.some((each) => each === undefined) ? undefined : `coalesce(${texts.join(', ')})`
  }
  const operator = lastNameIn(fields.name)
  if (kind !== 'A_Expr' || fields.kind !== 'AEXPR_OP' || !OPERATORS.has(operator)) return undefined
  const [left, right] = [fields.lexpr, fields.rexpr].map((each) => expressionText(each, named))
  return left === undefined || right === undefined ? undefined : `(${left} ${operator} ${right})`
}
