import * as v from 'valibot'
import { textUpTo } from '../permissions/schema.ts'
import { Page } from '../platform/page.ts'
import type { Definition } from './definition.ts'

const NAME_CHARACTERS_MAX = 120

/** What people call it: not blank. */
export const Name = v.pipe(
  textUpTo(NAME_CHARACTERS_MAX),
  v.check<string, string>((text) => text.trim() !== '', 'must not be blank'),
)

/** Any JSON object; bounds are kept where it is made canonical. */
export const DefinitionInput = v.custom<Definition>(
  (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
  'must be an object',
)

const members = {
  id: v.string(),
  name: v.string(),
  workspace: v.nullable(v.string()),
  owner: v.nullable(v.string()),
  suspendedBecause: v.nullable(v.string()),
  sizeBytes: v.number(),
  version: v.number(),
  createdAt: v.string(),
  updatedAt: v.string(),
}

/** A scenario in a list: without its definition, which may be large. */
export const ScenarioSummary = v.object(members)
export type ScenarioSummary = v.InferOutput<typeof ScenarioSummary>

export const Scenario = v.object({ ...members, definition: v.record(v.string(), v.unknown()) })
export type Scenario = v.InferOutput<typeof Scenario>

export const CreateScenario = v.strictObject({ name: Name, definition: DefinitionInput })
export type CreateScenario = v.InferOutput<typeof CreateScenario>

export const PatchScenario = v.strictObject({
  name: v.optional(Name),
  definition: v.optional(DefinitionInput),
})
export type PatchScenario = v.InferOutput<typeof PatchScenario>

export const OneScenario = v.object({ scenario: v.string() })
export const ListScenarios = v.strictObject({ ...Page })
export type ListScenarios = v.InferOutput<typeof ListScenarios>
