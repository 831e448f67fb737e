type Given = { path: string; scenario: string }
type Sample = (given: Given) => [what: string, body?: unknown]

const SCENARIOS = '/v1/organizations/:organization/workspaces/:workspace/scenarios'
const at = ({ path }: Given) => `${path}/workspaces/lab/scenarios`

/** One request that changes something, per route of scenarios that can. */
export const SCENARIO_CHANGES: Record<string, Sample> = {
  [`POST ${SCENARIOS}`]: (given) => [`POST ${at(given)}`, { name: 'Greet', definition: {} }],
  [`PATCH ${SCENARIOS}/:scenario`]: (given) => [
    `PATCH ${at(given)}/${given.scenario}`,
    { name: 'Hello' },
  ],
  [`DELETE ${SCENARIOS}/:scenario`]: (given) => [`DELETE ${at(given)}/${given.scenario}`],
}
