import { recordChange } from '../audit/service.ts'
import { ceilingOf, givenByRole, givenBySubject, refuseAboveCeiling } from '../decisions/ceiling.ts'
import { requireMember } from '../members/service.ts'
import { getScopes } from '../permissions/service.ts'
import type { Actor, Context } from '../platform/context.ts'
import { equalInConstantTime, sha256 } from '../platform/crypto/hash.ts'
import type { Queryable, Sql, Transaction } from '../platform/db/connect.ts'
import {
  changeOrganization,
  changePlatform,
  inOrganization,
  inPlatform,
} from '../platform/db/transaction.ts'
import { newId } from '../platform/id.ts'
import { positionOf, toPage } from '../platform/page.ts'
import { Problem, unprocessable } from '../platform/problem.ts'
import { refuseStale } from '../platform/version.ts'
import { resolveRole } from '../roles/service.ts'
import type { Credential } from './repository.ts'
import * as repository from './repository.ts'

export { createIdentifier } from './identifier.ts'

import type { ApiKey, CreateApiKey, ListApiKeys, OneApiKey, RotateApiKey } from './schema.ts'
import { keyIdOf, newToken, OUTSIDE_KEY_ID } from './token.ts'

/** What is stored for a repeated request: everything but the secret, which is shown once. */
const withoutSecret = ({ secret: _secret, ...key }: { secret?: string }) => key

/** API keys: how services call us. A key is the subject `key:<id>`; a personal one ends with its member. */
export const createApiKey = (context: Context, input: CreateApiKey) =>
  changeOrganization(
    context,
    async (tx, organizationId) => {
      const ceiling = await ceilingOf(context, tx)
      if (input.expiresAt && Date.parse(input.expiresAt) <= context.now().getTime())
        throw unprocessable('expiry-past', '/expiresAt', 'expiresAt is in the past.')
      const member = await personalMember(context, tx, organizationId, input)
      const id = newId('key')
      const { token, secretHash } = await newToken(id)
      const roles = await resolveRoles(tx, organizationId, input.roles)
      const scopes = await getScopes(
        tx,
        input.permissions.map((key, index) => ({ key, pointer: `/permissions/${index}` })),
      )
      const place = { organizationId }
      for (const { role, pointer } of roles)
        refuseAboveCeiling(
          ceiling,
          await givenByRole(tx, [role.home, role.scope, role.name], place),
          pointer,
        )
      input.permissions.forEach((permission, index) => {
        refuseAboveCeiling(ceiling, [{ permission, place }], `/permissions/${index}`)
      })
      await repository.insertApiKey(tx, {
        id,
        organizationId,
        member,
        restricted: member === null || roles.length + input.permissions.length > 0,
        name: input.name,
        secretHash,
        createdBy: context.actor.subject,
        expiresAt: input.expiresAt ?? null,
      })
      const given = {
        organizationId,
        subject: `key:${id}`,
        grantedBy: context.actor.subject,
        source: 'api-key' as const,
        // What a key holds ends when the key does, for what was begun with it, too.
        expiresAt: input.expiresAt ?? null,
      }
      for (const { role } of roles)
        await repository.insertKeyGrant(tx, {
          ...given,
          id: newId('grt'),
          roleHome: role.home,
          roleScope: role.scope,
          roleName: role.name,
          permission: null,
          permissionScope: null,
        })
      for (const permission of input.permissions)
        await repository.insertKeyGrant(tx, {
          ...given,
          id: newId('grt'),
          roleHome: null,
          roleScope: null,
          roleName: null,
          permission,
          permissionScope: scopes.get(permission)!,
        })
      const key = (await repository.findApiKey(tx, organizationId, id))!
      await recordChange(tx, context, {
        event: 'api-key.created',
        resource: `api-key:${id}`,
        subject: member ?? `key:${id}`,
        after: key,
      })
      return { ...key, secret: token as string | undefined }
    },
    { remember: withoutSecret },
  )

/** Whose personal key it is to be: only one's own. */
const personalMember = async (
  { actor }: Context,
  tx: Transaction,
  organizationId: string,
  { personal }: CreateApiKey,
) => {
  if (!personal) return null
  if (!actor.subject.startsWith('user:') || actor.restrictedTo !== null)
    throw new Problem(
      'forbidden',
      'person-required',
      'Only a person makes a personal key, for themselves.',
    )
  await requireMember(tx, organizationId, actor.subject)
  return actor.subject
}

const resolveRoles = async (tx: Transaction, organizationId: string, names: readonly string[]) => {
  const roles = []
  for (const [index, name] of names.entries()) {
    const pointer = `/roles/${index}`
    roles.push({
      pointer,
      role: await resolveRole(tx, organizationId, { name, inWorkspace: false, pointer }),
    })
  }
  return roles
}

export const listApiKeys = (context: Context, { limit, cursor }: ListApiKeys) =>
  inOrganization(context, async (tx, organizationId) => {
    const range = { organizationId, after: positionOf(cursor), limit: limit + 1 }
    return toPage(await repository.listApiKeys(tx, range), limit, ({ id }) => id)
  })

const requireApiKey = async (
  tx: Queryable,
  organizationId: string,
  id: string,
): Promise<ApiKey> => {
  const key = await repository.findApiKey(tx, organizationId, id)
  if (!key) throw new Problem('not-found', 'api-key-not-found', 'There is no such API key.')
  return key
}

export const getApiKey = (context: Context, { id }: OneApiKey) =>
  inOrganization(context, (tx, organizationId) => requireApiKey(tx, organizationId, id))

/**
 * Revokes a key: its next request is refused, and it holds nothing any more, so that what was begun with it (an invitation,
 * a way in, a job) gives nothing either. The row stays, so that the log's names mean something.
 */
export const deleteApiKey = (context: Context, { id }: OneApiKey) =>
  changeOrganization(
    context,
    async (tx, organizationId) => {
      const before = await requireApiKey(tx, organizationId, id)
      refuseStale(context, before.version)
      await repository.revokeApiKey(tx, organizationId, id)
      await repository.deleteKeyGrants(tx, organizationId, id)
      const after = await requireApiKey(tx, organizationId, id)
      await recordChange(tx, context, {
        event: 'api-key.revoked',
        resource: `api-key:${id}`,
        before,
        after,
      })
    },
    { shrinks: true },
  )

/**
 * Gives a key a new secret. Who sees it can act as the key, so the caller must hold what the key holds, and a personal
 * key is its member's alone.
 */
export const rotateApiKey = (context: Context, { id, overlapSeconds }: RotateApiKey) =>
  changeOrganization(
    context,
    async (tx, organizationId) => {
      const ceiling = await ceilingOf(context, tx)
      const before = await requireApiKey(tx, organizationId, id)
      refuseStale(context, before.version)
      if (before.revokedAt !== null)
        throw new Problem('conflict', 'api-key-revoked', 'The key is revoked; make a new one.')
      if (before.member !== null && !isOwnKey(context, before))
        throw new Problem(
          'forbidden',
          'person-required',
          'A personal key is rotated by its member only.',
        )
      refuseAboveCeiling(ceiling, await givenBySubject(tx, organizationId, `key:${id}`))
      const { token, secretHash } = await newToken(id)
      await repository.replaceSecret(tx, { id, secretHash, overlapSeconds })
      const key = await requireApiKey(tx, organizationId, id)
      await recordChange(tx, context, {
        event: 'api-key.rotated',
        resource: `api-key:${id}`,
        before,
        after: key,
        reason: `the old secret is accepted for ${overlapSeconds} more seconds`,
      })
      return { ...key, secret: token as string | undefined }
    },
    { remember: withoutSecret },
  )

/** A restricted personal key may renew itself, but not a key of its member that could do more. */
const isOwnKey = ({ actor }: Context, { id, member }: ApiKey) =>
  member === actor.subject && (actor.restrictedTo === null || actor.apiKeyId === id)

/** Who a token is and until when, or undefined. The comparison takes the same time wherever a wrong secret differs. */
export const identifyKey = async (
  sql: Sql,
  token: string,
  nowMs: number,
): Promise<{ actor: Actor; untilMs: number } | undefined> => {
  const hash = await sha256(token)
  const credential = await inPlatform(sql, async (tx) => {
    const found = await repository.findCredential(tx, keyIdOf(token))
    if (!found || !accepts(found, hash, nowMs)) return undefined
    await repository.touchLastUsed(tx, found.id)
    return found
  })
  return credential && { actor: actorOf(credential), untilMs: untilMsOf(credential, hash) }
}

const untilMsOf = ({ secretHash, expiresAt, previousExpiresAt }: Credential, hash: Uint8Array) =>
  Math.min(
    expiresAt === null ? Number.POSITIVE_INFINITY : Date.parse(expiresAt),
    equalInConstantTime(secretHash, hash)
      ? Number.POSITIVE_INFINITY
      : Date.parse(previousExpiresAt!),
  )

const accepts = (credential: Credential, hash: Uint8Array, nowMs: number): boolean => {
  const { secretHash, previousSecretHash, previousExpiresAt, expiresAt, revokedAt } = credential
  const isCurrent = equalInConstantTime(secretHash, hash)
  const isPrevious =
    previousSecretHash !== null &&
    equalInConstantTime(previousSecretHash, hash) &&
    previousExpiresAt !== null &&
    Date.parse(previousExpiresAt) > nowMs
  const isLive = revokedAt === null && (expiresAt === null || Date.parse(expiresAt) > nowMs)
  return isLive && (isCurrent || isPrevious)
}

const actorOf = ({ id, organizationId, member, restricted }: Credential): Actor => ({
  subject: member ?? `key:${id}`,
  apiKeyId: id,
  organizationId,
  restrictedTo: member !== null && restricted ? `key:${id}` : null,
})

type OperatorKey = { name: string; role: 'super_admin' | 'operator' | 'support' | 'moderator' }

/** A new operator's key. Its token is answered once. */
export const createOperatorKey = (context: Context, key: OperatorKey) =>
  changePlatform(context, (tx) => insertOperatorKey(context, tx, key))

/**
 * The first operator's key; undefined where there is one. Nodes that start at the same moment make one together: changes of
 * the platform follow each other.
 */
export const createFirstOperatorKey = (context: Context, key: OperatorKey) =>
  changePlatform(context, async (tx) =>
    (await repository.hasOperatorKey(tx)) ? undefined : insertOperatorKey(context, tx, key),
  )

const insertOperatorKey = async (
  context: Context,
  tx: Transaction,
  { name, role }: OperatorKey,
) => {
  const id = newId('key')
  const { token, secretHash } = await newToken(id)
  await repository.insertApiKey(tx, {
    id,
    organizationId: null,
    member: null,
    restricted: true,
    name,
    secretHash,
    createdBy: context.actor.subject,
    expiresAt: null,
  })
  await giveOperatorRole(tx, context, id, role)
  await recordChange(tx, context, {
    event: 'api-key.created',
    resource: `api-key:${id}`,
    after: { id, name, role },
  })
  return { id, token }
}

/** Makes the setting LATCHKEY_ADMIN_KEY the first administrator's key. */
export const adoptOutsideKey = async (context: Context, token: string) => {
  const secretHash = await sha256(token)
  return changePlatform(context, async (tx) => {
    const changed = await repository.upsertOperatorKey(tx, {
      id: OUTSIDE_KEY_ID,
      name: 'LATCHKEY_ADMIN_KEY',
      secretHash,
    })
    if (!changed) return
    await giveOperatorRole(tx, context, OUTSIDE_KEY_ID, 'super_admin')
    await recordChange(tx, context, {
      event: 'api-key.created',
      resource: `api-key:${OUTSIDE_KEY_ID}`,
      after: { id: OUTSIDE_KEY_ID, role: 'super_admin' },
    })
  })
}

const giveOperatorRole = (
  tx: Transaction,
  context: Context,
  id: string,
  role: OperatorKey['role'],
) =>
  repository.insertKeyGrant(tx, {
    id: newId('grt'),
    organizationId: null,
    subject: `key:${id}`,
    roleHome: 'platform',
    roleScope: 'platform',
    roleName: role,
    permission: null,
    permissionScope: null,
    grantedBy: context.actor.subject,
    source: 'api-key',
    expiresAt: null,
  })

/** Operators' keys, without their secrets. */
export const listOperatorKeys = (sql: Sql) => inPlatform(sql, repository.listOperatorKeys)

export const revokeOperatorKey = (context: Context, id: string) =>
  changePlatform(context, async (tx) => {
    const revoked = await repository.revokeOperatorKey(tx, id)
    if (!revoked)
      throw new Problem('not-found', 'api-key-not-found', "There is no such operator's key.")
    await repository.deleteKeyGrants(tx, null, id)
    await recordChange(tx, context, { event: 'api-key.revoked', resource: `api-key:${id}` })
  })
