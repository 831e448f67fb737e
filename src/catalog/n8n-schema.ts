import * as v from 'valibot'
import { textUpTo } from '../permissions/schema.ts'

const PAGE_MAX = 1000
const ROWS_MAX = 100

const whole = (fallback: string, most: number) =>
  v.pipe(
    v.optional(v.string(), fallback),
    v.regex(/^\d{1,5}$/, 'must be a whole number'),
    v.transform(Number),
    v.minValue(1, 'must be at least 1'),
    v.maxValue(most, `must be at most ${most}`),
  )
const Names = v.pipe(
  v.optional(textUpTo(500), ''),
  v.transform((text) => text.split(',').filter((name) => name.trim() !== '')),
)

/** What n8n asks; members of newer ones are passed over, so that they do not fail. */
export const SearchWorkflows = v.object({
  page: whole('1', PAGE_MAX),
  limit: v.optional(whole('20', ROWS_MAX)),
  rows: v.optional(whole('20', ROWS_MAX)),
  search: v.optional(v.pipe(textUpTo(200), v.trim()), ''),
  category: Names,
  categories: Names,
  app: Names,
  apps: Names,
  sort: v.optional(textUpTo(64), ''),
})
export type SearchWorkflows = v.InferOutput<typeof SearchWorkflows>

export const OneNumber = v.object({
  number: v.pipe(v.string(), v.regex(/^\d{1,9}$/, 'must be a number'), v.transform(Number)),
})
export type OneNumber = v.InferOutput<typeof OneNumber>

const Node = v.object({
  id: v.number(),
  name: v.string(),
  displayName: v.string(),
  icon: v.string(),
  iconData: v.object({ type: v.literal('icon'), icon: v.string() }),
  defaults: v.object({ name: v.string() }),
  categories: v.array(v.unknown()),
})
const workflow = {
  id: v.number(),
  name: v.string(),
  createdAt: v.string(),
  totalViews: v.number(),
  user: v.object({ username: v.string(), verified: v.boolean() }),
  nodes: v.array(Node),
}
export const N8nCategory = v.object({ id: v.number(), name: v.string() })

export const Health = v.object({ status: v.literal('OK') })
export const N8nCategories = v.object({ categories: v.array(N8nCategory) })
export const Workflows = v.object({
  totalWorkflows: v.number(),
  workflows: v.array(v.object(workflow)),
  filters: v.array(
    v.object({
      field_name: v.string(),
      sampled: v.boolean(),
      stats: v.object({ total_values: v.number() }),
      counts: v.array(v.object({ count: v.number(), highlighted: v.string(), value: v.string() })),
    }),
  ),
})
export type Workflows = v.InferOutput<typeof Workflows>

const Definition = v.record(v.string(), v.unknown())
export const Workflow = v.object({
  workflow: v.object({
    ...workflow,
    description: v.nullable(v.string()),
    image: v.array(v.unknown()),
    categories: v.array(N8nCategory),
    workflowInfo: v.object({
      nodeCount: v.number(),
      nodeTypes: v.record(v.string(), v.object({ count: v.number() })),
    }),
    /** Empty of what must be bought first. */
    workflow: Definition,
  }),
})
export type Workflow = v.InferOutput<typeof Workflow>

export const Importable = v.object({ id: v.number(), name: v.string(), workflow: Definition })
export type Importable = v.InferOutput<typeof Importable>

export const Collections = v.object({ collections: v.array(v.unknown()) })
export const OneCollection = v.object({ collection: textUpTo(64) })
