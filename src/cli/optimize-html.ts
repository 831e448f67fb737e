import type { Advice, QueryAdvice } from '../advisor/service.ts'
import {
  bytesText,
  costText,
  lookedAt,
  oneLine,
  statementsOf,
  timesText,
} from './optimize-words.ts'

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }
const escaped = (text: string) => text.replaceAll(/[&<>"]/g, (character) => ENTITIES[character]!)

const STYLE = `
:root { color-scheme: light dark; --muted: #777; --before: #c8553d; --after: #2a9d6f; --line: #8884 }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin-top: 2rem }
table { border-collapse: collapse; width: 100% } td, th { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid var(--line);
  vertical-align: top } td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
code, pre { font: 13px/1.45 ui-monospace, monospace } pre { padding: .8rem; overflow: auto; border: 1px solid var(--line); border-radius: 6px }
.bar { display: block; height: .6rem; border-radius: 2px; min-width: 2px; margin: .15rem 0 }
.before { background: var(--before) } .after { background: var(--after) } .muted { color: var(--muted) }
.chart { min-width: 16rem } .sum { font-size: 2rem; font-weight: 600 }`

/** Costs lie orders of magnitude apart, so the length of a bar is its logarithm; the figures stand beside it. */
const widthOf = (cost: number, most: number) =>
  most <= 1 ? 100 : (100 * Math.log10(1 + cost)) / Math.log10(1 + most)

const bar = (kind: 'before' | 'after', cost: number, most: number) =>
  `<span class="bar ${kind}" style="width:${widthOf(cost, most).toFixed(1)}%" title="${kind}: ${costText(cost)}"></span>`

const queryRow = ({ text, calls, before, after }: QueryAdvice, most: number) => `<tr>
<td><code title="${escaped(text)}">${escaped(oneLine(text, 120))}</code></td>
<td class="number">${calls.toLocaleString('en')}</td>
<td class="chart">${bar('before', before, most)}${bar('after', after, most)}</td>
<td class="number">${costText(before)}</td><td class="number">${costText(after)}</td>
<td class="number">${timesText(before, after)}</td></tr>`

const section = (title: string, body: string) => (body === '' ? '' : `<h2>${title}</h2>\n${body}\n`)
const tableOf = (head: string, rows: readonly string[]) =>
  rows.length === 0 ? '' : `<table><tr>${head}</tr>\n${rows.join('\n')}\n</table>`
const listOf = (texts: readonly string[]) =>
  texts.length === 0 ? '' : `<ul>${texts.map((text) => `<li>${escaped(text)}</li>`).join('')}</ul>`

const indexRows = ({ indexes }: Advice) =>
  indexes.map(
    ({
      text,
      helps,
      bytes,
      writeCost,
      confidence,
      how,
      reason,
    }) => `<tr><td><code>${escaped(text)}</code></td>
<td class="number">${helps.length}</td><td class="number">${bytesText(bytes)}</td><td class="number">${costText(writeCost)}</td>
<td>${confidence} <span class="muted">(${how})</span></td><td>${escaped(reason)}</td></tr>`,
  )

const dropRows = ({ drops }: Advice) =>
  drops.map(
    ({ index, bytes, reason, undo }) => `<tr><td><code>${escaped(index)}</code></td>
<td class="number">${bytesText(bytes)}</td><td>${escaped(reason)}</td><td><code>${escaped(undo)}</code></td></tr>`,
  )

/** The report as one page that needs nothing else: no script, no font, no image of elsewhere. */
export const htmlOf = (advice: Advice, at: Date): string => {
  const { before, after, refused, notes, plans, how, elapsedMs } = advice
  const queries = lookedAt(advice)
  const most = Math.max(1, ...queries.map((query) => query.before))
  const passed = advice.queries.filter(({ passedOver }) => passedOver !== null)
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Index advice</title><style>${STYLE}</style></head><body>
<h1>Index advice</h1>
<p class="sum">${costText(before)} → ${costText(after)} <span class="muted">${timesText(before, after)}</span></p>
<p class="muted">What all queries cost together, in the units of PostgreSQL's planner times calls. ${at.toISOString().slice(0, 16).replace('T', ' ')} UTC,
${plans.toLocaleString('en')} plans by ${how} in ${(elapsedMs / 1000).toFixed(1)} s. Nothing was changed.</p>
${section(
  'Queries, before and after',
  tableOf(
    '<th>query<th class="number">calls<th>cost (logarithmic)<th class="number">before<th class="number">after<th class="number">less',
    queries.map((query) => queryRow(query, most)),
  ),
)}${section(
  'Indexes to make',
  tableOf(
    '<th>index<th class="number">helps<th class="number">size<th class="number">write cost<th>confidence<th>why',
    indexRows(advice),
  ),
)}${section(
  'Indexes that could go',
  tableOf('<th>index<th class="number">size<th>why<th>to make it again', dropRows(advice)),
)}${section(
  'To run',
  statementsOf(advice).length === 0 ? '' : `<pre>${escaped(statementsOf(advice).join('\n'))}</pre>`,
)}${section('Not advised', listOf(refused.map(({ text, reason }) => `${text}: ${reason}`)))}${section(
  'Passed over',
  listOf(passed.map(({ text, passedOver }) => `${oneLine(text)}: ${passedOver}`)),
)}${section('To know', listOf(notes))}</body></html>
`
}
