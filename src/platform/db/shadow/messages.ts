import type { ShadowIndex, ShadowQuestion, ShadowShape } from '../../shadow.ts'
import type { Beginning } from './kept.ts'

/** What a shadow is asked; of each kind what it answers. */
export type Requests = {
  start: {
    asked: { shape: ShadowShape; from: Beginning }
    answered: { what: string; why: string }[]
  }
  add: { asked: readonly ShadowIndex[]; answered: (string[] | { refused: string })[] }
  explain: { asked: ShadowQuestion; answered: Record<string, unknown> }
}
export type RequestKind = keyof Requests

export type Request = {
  [Kind in RequestKind]: { id: number; kind: Kind; asked: Requests[Kind]['asked'] }
}[RequestKind]

export type Answer = { id: number; answered: unknown } | { id: number; refused: string }
