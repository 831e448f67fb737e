import type { Sources } from './closure.ts'
import { findWorkspace, type LineStore, subjectsChangedSince } from './line-store.ts'
import { AT_ORGANIZATION, AT_OTHER_WORKSPACE, AT_PLATFORM, type Names } from './packed-lines.ts'
import type { Place, SharedClosures, View, Views } from './view.ts'

/** Lines made ready for questions: the platform's alone, or an organization's over the platform's. */
export type IndexedPolicy = {
  readonly organizationId: string | null
  /** The lines of the organization, or of the platform if it is the platform's policy. */
  readonly store: LineStore
  /** The platform's policy; itself if it is that. */
  readonly platform: IndexedPolicy
  readonly sources: Sources
  readonly sharedClosures: SharedClosures
  /** The version of the store's lines that the views were compiled from. */
  version: number
  /** Questions at the organization, or at the platform. */
  here: Place
  /** Questions in workspaces by their number; 0 is every workspace that no line names. */
  workspaces: (Place | undefined)[]
}

const NO_SUBJECTS: Sources['own'] = new Map()

const createPlace = (names: Names, views: Views, code: number): Place => ({
  views,
  code,
  names,
  workspaceId: names.workspaces[code - 1] ?? null,
  closures: null,
})

const createHere = (store: LineStore): Place => {
  const { organizationId, workspaces, symbols } = store
  const code = organizationId === null ? AT_PLATFORM : AT_ORGANIZATION
  const views = { bySubject: new Map<string, View>(), isLive: true }
  return createPlace({ organizationId, workspaces, symbols }, views, code)
}

/** The platform's lines, ready for questions at the platform and for organizations to stand on. */
export const indexPlatform = (store: LineStore): IndexedPolicy => {
  type Unfinished = Omit<IndexedPolicy, 'platform'> & { platform: IndexedPolicy | null }
  const policy: Unfinished = {
    organizationId: null,
    version: store.version,
    store,
    here: createHere(store),
    workspaces: [],
    platform: null,
    sources: { own: NO_SUBJECTS, platform: store.subjects },
    sharedClosures: new Map(),
  }
  return Object.assign(policy, { platform: policy as IndexedPolicy })
}

/** An organization's lines over the platform's. Takes no time: everything is compiled when first asked. */
export const indexOrganization = (platform: IndexedPolicy, store: LineStore): IndexedPolicy => ({
  organizationId: store.organizationId,
  version: store.version,
  store,
  here: createHere(store),
  workspaces: [],
  platform,
  sources: { own: store.subjects, platform: platform.store.subjects },
  sharedClosures: platform.sharedClosures,
})

const forgetAllViews = (policy: IndexedPolicy): void => {
  policy.here.views.isLive = false
  policy.here = createHere(policy.store)
  policy.workspaces = []
}

/** After a change of the lines nothing compiled from them is asked again. */
export const forgetViews = (policy: IndexedPolicy): void => {
  const { store, platform, here } = policy
  const subjects = subjectsChangedSince(store, policy.version)
  if (subjects === null || subjects.some((subject) => platform.store.heldOddly.has(subject)))
    forgetAllViews(policy)
  else for (const subject of subjects) here.views.bySubject.delete(subject)
  policy.version = store.version
}

/** The place of questions in a workspace. */
export const workspacePlace = (policy: IndexedPolicy, workspaceId: string): Place => {
  const code = findWorkspace(policy.store, workspaceId) ?? 0
  const known = policy.workspaces[code]
  if (known) return known
  const { names, views } = policy.here
  const place = createPlace(names, views, code === 0 ? AT_OTHER_WORKSPACE : code)
  while (policy.workspaces.length < code) policy.workspaces.push(undefined)
  policy.workspaces[code] = place
  return place
}
