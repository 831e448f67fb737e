import type { Caches } from './cache/tiered-cache.ts'
import type { MacKey } from './crypto/mac.ts'
import type { SealKey } from './crypto/seal.ts'
import type { Sql, Transaction } from './db/connect.ts'
import type { QueueName } from './jobs/queue.ts'
import type { Log } from './log.ts'
import type { Problem } from './problem.ts'

/** Who called our API. */
export type Actor = {
  /** What the audit log names and grants are asked for: `user:alice`, `key:key_…`. */
  readonly subject: string
  /** The API key that was presented, if one was. */
  readonly apiKeyId: string | null
  /** The organization a key belongs to; null for an operator's key and for a person's token. */
  readonly organizationId: string | null
  /** A restricted personal key: what its member holds counts only where the key was given it too. */
  readonly restrictedTo: string | null
  /** The address that the issuer of a person's token has verified, in lower case. */
  readonly verifiedEmail?: string | undefined
  /** How a person signed in; a key has no session. */
  readonly session?: Session | undefined
}

/** What the issuer of a token says of the sign-in behind it. */
export type Session = {
  /** When the person signed in, or, where that is not said, when the token was made; null where neither is. */
  readonly sinceMs: number | null
  readonly isMultiFactor: boolean
}

/** Where a permission is asked. */
export type Place = { readonly organizationId: string | null; readonly workspaceId?: string | null }

/** A resource as grants and decisions name it. */
export type NamedResource = { readonly type: string; readonly id: string }

/** One permission with the place, and the resource if it is about one only. */
export type Held = {
  readonly permission: string
  readonly place: Place
  readonly resource?: NamedResource | null
  /**
   * The condition it is given under, null for none: who holds it under a condition may give it under the same one only.
   * Left out, what the actor may do at this moment counts.
   */
  readonly condition?: string | null
}

/** The most an actor may give: nobody gives what they do not hold. */
export type Ceiling = {
  /** Whether the actor holds this permission there itself. */
  holds(held: Held): boolean
  /** Makes sure of what is to be asked about many: where it was not read, the change is tried again once and not for each. */
  reads(given: readonly Pick<Held, 'resource'>[]): void
  /** Whether the actor may make and unmake owners: an active owner, or an operator who may create organizations. */
  readonly mayGiveOwnership: boolean
}

/**
 * What everything above the engine needs of it, passed in by `app.ts` so that the arrows point down.
 * Every method answers for the policy as it is committed, or fails; none answers from a doubtful copy.
 */
export type Access = {
  /**
   * Whether the actor holds a permission, on one resource if one is named (which stands where it is registered); read with the
   * service's own bounded staleness.
   */
  permits(
    context: Context,
    permission: string,
    place: Place & { readonly resource?: NamedResource | undefined },
  ): Promise<boolean>
  /** Whether the organization is suspended or about to be deleted, so that all its own people and keys are refused. */
  isClosed(context: Context, organizationId: string): Promise<boolean>
  /**
   * Why the organization's security settings keep the caller out: address, second factor, age of the session. Operators of
   * the platform are spared, because their permissions come from elsewhere (what an organization gave them does not count
   * then), unless what they ask for is nothing of an operator.
   */
  keptOut(
    context: Context,
    organizationId: string,
    options?: { sparesOperators: boolean },
  ): Promise<Problem | undefined>
  /** Whether the actor has anything to do with the organization, so that it may know that it exists. */
  knows(context: Context, organizationId: string): Promise<boolean>
  /** What the actor holds itself, at the revision the transaction sees. Asked before anything is changed. */
  ceiling(context: Context, tx: Transaction): Promise<Ceiling>
  /** The id of a workspace by id or slug; undefined where the organization has none such. */
  workspaceId(context: Context, reference: string): Promise<string | undefined>
  /** Whether any person may create an organization. */
  readonly selfService: boolean
  /** The plan an organization starts on. */
  readonly defaultPlan: string
  /**
   * Called after a commit, so that the next question sees it, here and on other nodes. `platform` for the platform itself.
   * The token is that of the change's event, where it left one.
   */
  changed(home: string, token?: string): void
}

/** Access that is bounded by nobody's permissions: of the server itself, which holds the database. */
export const unbounded = (access: Access): Access => ({
  ...access,
  permits: async () => true,
  keptOut: async () => undefined,
  ceiling: async () => ({ holds: () => true, reads: () => {}, mayGiveOwnership: true }),
})

/** What was written to the log about a change, as it is told to others. */
export type RecordedEvent = {
  readonly id: string
  readonly event: string
  readonly resource: string
}

/** What leaves with a change: jobs, committed with it or not at all. */
export type Outgoing = {
  /** Called inside the transaction of a change, with its event. */
  recorded(tx: Transaction, context: Context, event: RecordedEvent): Promise<void>
  /** Called after a commit that left jobs in these queues. */
  wake(queues: readonly QueueName[]): void
}

/** What one request carries through services. Replaces a container. */
export type Context = {
  readonly sql: Sql
  readonly log: Log
  readonly access: Access
  readonly outgoing: Outgoing
  /** What is kept of costly answers; left out where nothing is, as in a job. */
  readonly caches?: Caches | undefined
  readonly auditKey: MacKey
  /** Encrypts secrets that must be read again. */
  readonly sealKey: SealKey
  readonly actor: Actor
  /** The organization of the path, resolved and visible to the actor before any handler runs; '' outside organizations. */
  readonly organizationId: string
  readonly requestId: string
  readonly now: () => Date
  /** Where the caller is; answers undefined where that cannot be known. Left out where nobody calls, as in a job. */
  readonly address?: (() => string | undefined) | undefined
  /** Keeps what is done behind the answer alive, where a runtime ends it with the request. */
  readonly waitUntil?: ((promise: Promise<unknown>) => void) | undefined
  /** What `If-Match` named; undefined without the header. */
  readonly ifMatch?: number | undefined
  /** What `Idempotency-Key` named, with a hash of the request it came with. */
  readonly idempotency?: { readonly key: string; readonly requestHash: Uint8Array } | undefined
  /** The token of the last change; the answer's `Latchkey-Revision`. Written by `recordChange`. */
  revision?: string | undefined
}

/**
 * A consistency token: what a check must have seen. Opaque to callers.
 * It carries both numbers a decision depends on: the organization's revision and the platform's.
 */
export const revisionToken = (organizationId: string, revision: number, platformRevision: number) =>
  `${organizationId || 'platform'}.${revision.toString(36)}.${platformRevision.toString(36)}`

/** The parts of a token, or undefined for what we did not make. */
export const parseRevisionToken = (token: string) => {
  const match = /^(org_[0-9a-z]{26}|platform)\.([0-9a-z]{1,11})\.([0-9a-z]{1,11})$/.exec(token)
  if (!match) return undefined
  return {
    organizationId: match[1] as string,
    revision: Number.parseInt(match[2] as string, 36),
    platformRevision: Number.parseInt(match[3] as string, 36),
  }
}
