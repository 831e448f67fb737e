import type { Advice, AdvisedIndex, DropAdvice } from '../advisor/service.ts'
import { createStatement } from '../advisor/service.ts'
import { indexNameOf } from '../indexes/service.ts'
import { newId } from '../platform/id.ts'
import type { Proposal } from './repository.ts'

const quoted = (name: string) => `"${name.replaceAll('"', '""')}"`

const ofIndex = async (
  { candidate, text, ...index }: AdvisedIndex,
  { queries }: Advice,
  isEmbedded: boolean,
): Promise<Proposal> => {
  const { schema, name: table } = candidate.table
  const name = await indexNameOf(table, text)
  const concurrently = !isEmbedded
  const helped = new Set(index.helps)
  return {
    ...{ id: newId('rec'), kind: 'create', schema, table, index: name, definition: text },
    statement: createStatement(candidate, { name, concurrently }),
    undo: `drop index ${concurrently ? 'concurrently ' : ''}${quoted(schema)}.${quoted(name)}`,
    ...{ gain: index.gain, writeCost: index.writeCost, bytes: index.bytes, how: index.how },
    ...{ confidence: index.confidence, code: null, reason: index.reason },
    queries: queries
      .filter(({ fingerprint }) => helped.has(fingerprint))
      .map(({ fingerprint, calls, before, after }) => ({ fingerprint, calls, before, after })),
  }
}

const partsOf = (name: string) => {
  const at = name.indexOf('.')
  return [name.slice(0, at), name.slice(at + 1)] as const
}

const ofDrop = ({ index, table, ...drop }: DropAdvice): Proposal => {
  const [schema, name] = partsOf(index)
  return {
    ...{ id: newId('rec'), kind: 'drop', schema, table: partsOf(table)[1], index: name },
    ...{ definition: drop.undo, statement: drop.statement, undo: drop.undo },
    ...{ gain: 0, writeCost: 0, bytes: drop.bytes, how: 'built', confidence: 'high' },
    ...{ code: drop.code, reason: drop.reason, queries: [] },
  }
}

/** Advice as it is kept to be decided. */
export const proposalsOf = async (advice: Advice, isEmbedded: boolean): Promise<Proposal[]> => [
  ...(await Promise.all(advice.indexes.map((each) => ofIndex(each, advice, isEmbedded)))),
  ...advice.drops.map(ofDrop),
]
