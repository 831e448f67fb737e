import type { Ask } from './decide.ts'
import type { OrganizationState } from './policies.ts'

/** Decisions of an organization, or of one of its workspaces, since they were last taken. */
export type AskedCount = {
  organizationId: string
  /** null: of the whole organization, those inside workspaces too. */
  workspaceId: string | null
  checks: number
  denials: number
}

type Counted = { checks: number; denials: number }

/** Where a question is asked: a registered resource's own place, else what the question names. */
const workspaceOf = (state: OrganizationState, ask: Ask): string | null => {
  if (ask.resourceId === null || !state.hasResources) return ask.workspaceId
  const { permission, resourceId, resourceKey } = ask
  const key = resourceKey ?? `${permission.slice(0, permission.indexOf(':'))}:${resourceId}`
  const resource = state.resources.get(key)
  return resource ? resource.workspaceId : ask.workspaceId
}

/** Counts decisions by organization and workspace, in memory: a question waits for nothing. */
export const createAsked = () => {
  let organizations = new Map<string, Counted>()
  let workspaces = new Map<string, AskedCount>()

  const add = (counted: Counted, { checks, denials }: Counted) => {
    counted.checks += checks
    counted.denials += denials
  }

  const ofOrganization = (organizationId: string): Counted => {
    let counted = organizations.get(organizationId)
    if (!counted) {
      counted = { checks: 0, denials: 0 }
      organizations.set(organizationId, counted)
    }
    return counted
  }

  const ofWorkspace = (organizationId: string, workspaceId: string): Counted => {
    let counted = workspaces.get(workspaceId)
    if (!counted) {
      counted = { organizationId, workspaceId, checks: 0, denials: 0 }
      workspaces.set(workspaceId, counted)
    }
    return counted
  }

  return {
    note: (state: OrganizationState, ask: Ask, allowed: boolean): void => {
      const denials = allowed ? 0 : 1
      const counted = ofOrganization(state.id)
      counted.checks += 1
      counted.denials += denials
      const workspaceId = workspaceOf(state, ask)
      if (workspaceId === null) return
      const within = ofWorkspace(state.id, workspaceId)
      within.checks += 1
      within.denials += denials
    },

    /** What was counted since the last time. */
    take: (): AskedCount[] => {
      const taken = [
        ...[...organizations].map(([organizationId, counted]) => ({
          organizationId,
          workspaceId: null,
          ...counted,
        })),
        ...workspaces.values(),
      ]
      organizations = new Map()
      workspaces = new Map()
      return taken
    },

    /** Counts again what could not be written down. */
    putBack: (taken: readonly AskedCount[]): void => {
      for (const each of taken)
        add(
          each.workspaceId === null
            ? ofOrganization(each.organizationId)
            : ofWorkspace(each.organizationId, each.workspaceId),
          each,
        )
    },
  }
}
