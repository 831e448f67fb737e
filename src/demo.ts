import { putMember } from './members/service.ts'
import { createOrganization, findOrganizationBySlug } from './organizations/service.ts'
import type { Context } from './platform/context.ts'
import { putResource } from './resources/service.ts'
import { createWorkspace } from './workspaces/service.ts'

/** The slug of the organization that a first start makes, so that a newcomer has something to ask about. */
export const DEMO = 'demo'

/** Alice owns the organization, Bob looks; one scenario in one workspace. Nothing in it is limited. */
export const seedDemo = async (context: Context) => {
  const unlimited = { ...context, access: { ...context.access, defaultPlan: 'custom' } }
  const { id } = await createOrganization(unlimited, {
    name: 'Demo',
    slug: DEMO,
    description: 'Made at first start; delete it whenever you like. LATCHKEY_DEMO=off makes none.',
    owner: 'user:alice',
  })
  const within = { ...context, organizationId: id }
  await putMember(within, { user: 'user:bob', roles: ['viewer'] })
  await createWorkspace(within, { name: 'Lab', slug: 'lab' })
  await putResource(within, { type: 'scenario', id: 'welcome', workspace: 'lab', owner: 'alice' })
}

/** Whether the demo organization is still there. */
export const hasDemo = async (context: Context) =>
  (await findOrganizationBySlug(context, DEMO)) !== undefined
