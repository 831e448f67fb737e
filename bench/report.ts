import { mkdir, writeFile } from 'node:fs/promises'
import type { Conditions } from './conditions.ts'
import { cellsOf, type Figure, tableOf } from './figures.ts'

const FOLDER = new URL('./results/', import.meta.url)

/** Figures by what was measured. */
export type Section = { readonly title: string; readonly figures: readonly Figure[] }

const markdownOf = (title: string, conditions: Conditions, sections: readonly Section[]) =>
  [
    `# ${title}`,
    tableOf([['condition', ''], ...Object.entries(conditions)]),
    ...sections.flatMap((section) => [`## ${section.title}`, tableOf(cellsOf(section.figures))]),
  ].join('\n\n')

/** Writes the results as Markdown and JSON and answers the Markdown. A short run says so in its name. */
export const writeReport = async (
  conditions: Conditions,
  sections: readonly Section[],
  isShort: boolean,
  only?: string,
): Promise<string> => {
  const date = new Date().toISOString().slice(0, 10)
  const name = [date, only, isShort ? 'short' : undefined].filter(Boolean).join('-')
  const markdown = markdownOf(
    isShort ? 'A short run: shows that it works, not how fast it is' : 'Measured',
    conditions,
    sections,
  )
  await mkdir(FOLDER, { recursive: true })
  await writeFile(new URL(`${name}.md`, FOLDER), `${markdown}\n`)
  const document = { conditions, sections }
  await writeFile(new URL(`${name}.json`, FOLDER), `${JSON.stringify(document, null, 2)}\n`)
  return markdown
}
