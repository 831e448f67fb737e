/** One request per route of the optimizer that leaves an event. */
export const OPTIMIZER_CHANGES: Record<string, () => [what: string, body?: unknown]> = {
  'POST /v1/optimizer/plans': () => ['POST /v1/optimizer/plans', { query: 'select 1' }],
  'DELETE /v1/optimizer/plans': () => ['DELETE /v1/optimizer/plans'],
}
