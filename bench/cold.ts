import { createAsker } from './ask.ts'
import type { KnownQuestion } from './dataset.ts'
import { type Figure, percentile } from './figures.ts'
import { AUTHORIZATION } from './latchkey.ts'

/**
 * The first question of one organization after another, over one connection: its policy is read from the database,
 * compiled and asked. The first tenth warms the program up and does not count.
 */
export const benchCold = async (
  url: string,
  storage: string,
  questions: readonly KnownQuestion[],
): Promise<Figure[]> => {
  const asker = createAsker(AUTHORIZATION)
  const times: number[] = []
  for (const { body, allowed } of questions) {
    const { status, text, ms } = await asker.ask(`${url}/check`, body)
    if (status !== 200 || (JSON.parse(text) as { allowed: boolean }).allowed !== allowed)
      throw new Error(`the first question was answered ${status} ${text}`)
    times.push(ms)
  }
  asker.close()
  const counted = times.slice(Math.floor(times.length / 11))
  const note = `${counted.length} organizations of 100 grants, one after another, ${storage}`
  const figure = (share: number, more: Partial<Figure>): Figure => ({
    name: `first question of an organization, ${storage}, p${100 * share}`,
    value: percentile(counted, share),
    lowest: Math.min(...counted),
    highest: Math.max(...counted),
    unit: 'ms',
    note,
    ...more,
  })
  return [figure(0.5, {}), figure(0.99, { target: 5 })]
}
