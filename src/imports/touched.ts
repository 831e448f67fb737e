import type { Plan } from './plan.ts'
import { resourceKey } from './plan-places.ts'

type Changes<Row> = readonly { before: unknown; after: Row; changed: boolean }[]

/** What an import created and updated, as the log names it: `created member:user:alice`. */
export const touchedBy = (plan: Plan): string[] => [
  ...named(plan.roles.changes, ({ name }) => `role:${name}`),
  ...named(plan.workspaces.changes, ({ id }) => `workspace:${id}`),
  ...named(plan.members.changes, ({ subject }) => `member:${subject}`),
  ...named(plan.teams.changes, ({ slug }) => `team:${slug}`),
  ...named(plan.resources.changes, (resource) => `resource:${resourceKey(resource)}`),
  ...named(
    plan.grants.map(({ id, before, changed }) => ({ before, changed, after: { id } })),
    ({ id }) => `grant:${id}`,
  ),
]

const named = <Row>(changes: Changes<Row>, nameOf: (row: Row) => string): string[] =>
  changes
    .filter(({ changed }) => changed)
    .map(({ before, after }) => `${before === undefined ? 'created' : 'updated'} ${nameOf(after)}`)
