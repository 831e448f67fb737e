import { didYouMean } from '../platform/nearest.ts'
import { type Fault, Problem } from '../platform/problem.ts'

const FAULTS_MAX = 100
/** Comparing a name with all others takes long where there are many: that is done for some faults, and some names. */
const SUGGESTIONS_MAX = 10
const SUGGESTED_FROM_MAX = 5000

export type Faults = ReturnType<typeof createFaults>

/** What is wrong with a document, place by place. At the hundredth fault it is refused without looking further. */
export const createFaults = () => {
  const errors: Fault[] = []
  /** @throws Problem 422 that names each place, if there is any */
  const refuse = () => {
    if (errors.length > 0) throw importInvalid(errors)
  }
  const add = (pointer: string, detail: string) => {
    errors.push({ pointer, detail })
    if (errors.length >= FAULTS_MAX) refuse()
  }
  let suggestions = 0
  /** ` Did you mean a, b?` */
  const suggestion = (name: string, known: ReadonlyMap<string, unknown>): string => {
    if (known.size > SUGGESTED_FROM_MAX || ++suggestions > SUGGESTIONS_MAX) return ''
    return didYouMean(name, known.keys())
  }
  return { add, refuse, suggestion }
}

/** The one refusal of a document: nothing of it was stored. */
export const importInvalid = (errors: Fault[]) => {
  const more = errors.length >= FAULTS_MAX ? ' or more' : ''
  const places = `${errors.length}${more} ${errors.length === 1 ? 'place' : 'places'}`
  return new Problem(
    'unprocessable',
    'import-invalid',
    `The document cannot be imported because of ${places}; nothing was changed.`,
    { errors },
  )
}
