/**
 * A policy line as the engine holds it: structure, never text with a `*` in it. Only the Casbin boundary
 * (`casbin.ts`) turns lines into Casbin's strings. Subjects, types, ids and actions are the raw strings of the API.
 */

/** Where a line holds. In Casbin's words: `*`, `/org/*`, `/org/` and `/org/wsp/*`. */
export type LinePlace =
  | { readonly kind: 'everywhere' }
  | { readonly kind: 'organization'; readonly organizationId: string }
  | { readonly kind: 'organization-only'; readonly organizationId: string }
  | { readonly kind: 'workspace'; readonly organizationId: string; readonly workspaceId: string }

/** What a permission line is about. In Casbin's words: `*`, `type:*`, `type:id` and `type:prefix*`. */
export type LineObject =
  | { readonly kind: 'all' }
  | { readonly kind: 'type'; readonly type: string }
  | { readonly kind: 'resource'; readonly type: string; readonly id: string }
  | { readonly kind: 'prefix'; readonly type: string; readonly prefix: string }

export type Effect = 'allow' | 'deny'

/** One permission given or refused: Casbin's `p`. */
export type PermissionLine = {
  readonly kind: 'permission'
  /** `user:alice`, `team:eng`, `role:organization.admin`, … */
  readonly subject: string
  readonly place: LinePlace
  readonly object: LineObject
  /** The action, or null for every action. */
  readonly action: string | null
  /** CEL, or null when there is none. */
  readonly condition: string | null
  readonly effect: Effect
  /** Milliseconds since the epoch from which the line no longer holds, or null. */
  readonly expiresAtMs: number | null
}

/** A subject holds a role or sits in a team, in a place or on one resource: Casbin's `g`. */
export type RoleLine = {
  readonly kind: 'role'
  readonly subject: string
  /** `role:…` or `team:…`: whose lines the subject holds too. */
  readonly holds: string
  readonly place: LinePlace
  /** Set when the role is held on this one resource, exactly in the place that is named. */
  readonly resource: { readonly type: string; readonly id: string } | null
  readonly expiresAtMs: number | null
}

export type Line = PermissionLine | RoleLine

/** May this subject do this, there, on this? */
export type Question = {
  readonly subject: string
  /** null asks at the platform. */
  readonly organizationId: string | null
  /** null asks at the organization (or the platform). */
  readonly workspaceId: string | null
  readonly type: string
  /** null asks about every resource of the type. */
  readonly id: string | null
  readonly action: string
  /** Called at most once, and only when a matching line has a condition. */
  readonly environment: () => Environment
  readonly nowMs: number
}

/** Attributes by name; no prototype. */
export type Bag = { readonly [name: string]: unknown }

/** What a condition reads. Flat bags; `type`, `id` and `name` are written last, so no attribute replaces them. */
export type Environment = {
  readonly subject: Bag
  readonly resource: Bag
  readonly action: Bag
  readonly context: Bag
  readonly now: Date
}
