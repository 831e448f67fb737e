import { styleText } from 'node:util'
import type { Advice } from '../advisor/service.ts'
import {
  bytesText,
  costText,
  lookedAt,
  oneLine,
  statementsOf,
  timesText,
} from './optimize-words.ts'
import { table } from './table.ts'

const REFUSED_SHOWN = 8
const QUERIES_SHOWN = 25

const titled = (title: string, body: string) =>
  body === '' ? '' : `\n${styleText('bold', title)}\n${body}`

const queriesText = (advice: Advice) => {
  const rows = lookedAt(advice).slice(0, QUERIES_SHOWN)
  if (rows.length === 0) return ''
  return table(
    ['query', 'calls', 'cost', 'with advice', ''],
    rows.map(({ text, calls, before, after }) => [
      ...[oneLine(text), calls.toLocaleString('en'), costText(before), costText(after)],
      after < before * 0.995 ? styleText('green', timesText(before, after)) : '',
    ]),
  )
}

const indexesText = ({ indexes }: Advice) =>
  indexes.length === 0
    ? ''
    : table(
        ['index', 'helps', 'size', 'confidence', 'why'],
        indexes.map(({ text, helps, bytes, confidence, reason }) => [
          ...[text, `${helps.length}`, bytesText(bytes)],
          ...[confidence === 'unverified' ? styleText('yellow', confidence) : confidence, reason],
        ]),
      )

const lines = (texts: readonly string[]) => texts.map((text) => `  ${text}\n`).join('')

/** The report for a terminal: what helps how much, what to run, and why not more. */
export const textOf = (advice: Advice): string => {
  const { indexes, drops, refused, notes, before, after, how, plans, elapsedMs } = advice
  const passed = advice.queries.filter(({ passedOver }) => passedOver !== null)
  const summary =
    indexes.length === 0
      ? 'No index would help enough to be advised.'
      : `${indexes.length} ${indexes.length === 1 ? 'index' : 'indexes'}: all queries together cost ${timesText(before, after)} less (${costText(before)} → ${costText(after)}).`
  return [
    `${styleText(indexes.length === 0 ? 'bold' : 'green', summary)}\n`,
    titled('Queries', queriesText(advice)),
    titled('Indexes to make', indexesText(advice)),
    titled(
      'Indexes that could go',
      drops.length === 0
        ? ''
        : table(
            ['index', 'size', 'why'],
            drops.map(({ index, bytes, reason }) => [index, bytesText(bytes), reason]),
          ),
    ),
    titled('To run', lines(statementsOf(advice))),
    titled(
      'Not advised',
      lines(refused.slice(0, REFUSED_SHOWN).map(({ text, reason }) => `${text}: ${reason}`)),
    ),
    titled(
      'Passed over',
      lines(passed.map(({ text, passedOver }) => `${oneLine(text)}: ${passedOver}`)),
    ),
    titled('To know', lines(notes)),
    `\n${styleText('dim', `${plans.toLocaleString('en')} plans by ${how} in ${(elapsedMs / 1000).toFixed(1)} s; nothing was changed.`)}\n`,
  ].join('')
}
