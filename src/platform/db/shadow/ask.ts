import type { PGlite } from '@electric-sql/pglite'
import type { ShadowIndex, ShadowQuestion, ShadowRelation } from '../../shadow.ts'
import { createFilling } from './filling.ts'
import { type Counted, setCounts } from './make.ts'
import { createVisibility } from './visibility.ts'

/** Prepared queries that are kept. */
const PREPARED_MAX = 500

/** Everything that is asked of a shadow that was made. */
export const createAsking = (db: PGlite, folder: string, relations: readonly ShadowRelation[]) => {
  const filling = createFilling(db, folder, relations)
  const visibility = createVisibility(db)
  const prepared = new Map<string, string>()

  const begin = async () => {
    await visibility.prepare()
    await filling.fillAll()
  }

  /** Makes one over tables that are empty now. */
  const create = async (index: ShadowIndex): Promise<string[] | { refused: string }> => {
    try {
      await db.query(index.statement)
      return []
    } catch (error) {
      return { refused: error instanceof Error ? error.message : String(error) }
    }
  }

  /** Tables are emptied once for all that are added to them. */
  const add = async (indexes: readonly ShadowIndex[]) => {
    const answers: (string[] | { refused: string })[] = []
    await filling.emptied(
      indexes.flatMap(({ parts }) => parts),
      async () => {
        for (const index of indexes) answers.push(await create(index))
      },
    )
    const counted: Counted[] = []
    for (const [at, index] of indexes.entries()) {
      if (!Array.isArray(answers[at])) continue
      const { counted: ofIndex, names, oids } = await filling.fillIndex(index)
      counted.push(...ofIndex)
      visibility.set(index.name, oids)
      answers[at] = names
    }
    await setCounts(db, counted)
    const made = indexes.flatMap(({ name }) => visibility.oidsOf(name))
    if (made.length > 0) await db.exec(visibility.turning(made))
    await visibility.turned(made)
    return answers
  }

  const prepare = async (text: string) => {
    const before = prepared.get(text)
    if (before !== undefined) return before
    if (prepared.size >= PREPARED_MAX) {
      await db.exec('deallocate all')
      await visibility.prepare()
      prepared.clear()
    }
    const name = `query_${prepared.size}`
    // One statement, never more: this protocol refuses a second one.
    await db.query(`prepare ${name} as ${text}`)
    prepared.set(text, name)
    return name
  }

  /** All in one message: what is turned stays so only if the question is answered. */
  const explain = async (question: ShadowQuestion): Promise<Record<string, unknown>> => {
    const wrong = await visibility.listWrong(question)
    const name = await prepare(question.text)
    const values = Array(question.parametersMax).fill('null').join(', ')
    const answers = await db.exec(
      `${wrong.length > 0 ? `${visibility.turning(wrong)};` : ''}
      explain (format json, verbose) execute ${name}${values && `(${values})`}`,
    )
    await visibility.turned(wrong)
    const [explained] = Object.values(answers.at(-1)!.rows[0] as object)[0] as { Plan: object }[]
    return explained!.Plan as Record<string, unknown>
  }

  return { begin, add, explain }
}
