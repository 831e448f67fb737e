import { recordChange } from '../audit/service.ts'
import type { Context } from '../platform/context.ts'
import type { Queryable, Transaction } from '../platform/db/connect.ts'
import { changePlatform, inPlatform } from '../platform/db/transaction.ts'
import { didYouMean } from '../platform/nearest.ts'
import { positionOf, toPage } from '../platform/page.ts'
import { Problem, unprocessable } from '../platform/problem.ts'
import * as repository from './repository.ts'
import type {
  CreatePermission,
  ListPermissions,
  ListResourceTypes,
  PutResourceType,
  Scope,
} from './schema.ts'

/** The catalog: what can be asked. It belongs to the platform; every service brings its own resource types. */
export const createPermission = (context: Context, input: CreatePermission) =>
  changePlatform(context, async (tx) => {
    await repository.insertResourceType(tx, input.key.slice(0, input.key.indexOf(':')))
    const permission = await repository.insertPermission(tx, input)
    if (!permission)
      throw new Problem('conflict', 'permission-exists', 'This permission is registered already.')
    const resource = `permission:${permission.key}`
    await recordChange(tx, context, { event: 'permission.created', resource, after: permission })
    return permission
  })

export const listPermissions = ({ sql }: Context, { limit, cursor, ...filter }: ListPermissions) =>
  inPlatform(sql, async (tx) => {
    const range = { ...filter, after: positionOf(cursor), limit: limit + 1 }
    return toPage(await repository.listPermissions(tx, range), limit, ({ key }) => key)
  })

export const listResourceTypes = ({ sql }: Context, { limit, cursor }: ListResourceTypes) =>
  inPlatform(sql, async (tx) => {
    const range = { after: positionOf(cursor), limit: limit + 1 }
    return toPage(await repository.listResourceTypes(tx, range), limit, ({ type }) => type)
  })

export const putResourceType = (context: Context, input: PutResourceType) =>
  changePlatform(context, async (tx) => {
    const { created, ...resourceType } = await repository.upsertResourceType(tx, input)
    await recordChange(tx, context, {
      event: created ? 'resource-type.created' : 'resource-type.updated',
      resource: `resource-type:${resourceType.type}`,
      after: resourceType,
    })
    return resourceType
  })

/**
 * The scopes of permissions that must be known.
 * @throws Problem 422 that names the place of the first unknown one, with the nearest known names
 */
export const getScopes = async (
  tx: Transaction | Queryable,
  keys: readonly { key: string; pointer: string }[],
): Promise<Map<string, Scope>> => {
  if (keys.length === 0) return new Map()
  const scopes = await repository.findScopes(tx, [...new Set(keys.map(({ key }) => key))])
  const unknown = keys.find(({ key }) => !scopes.has(key))
  if (unknown) {
    const suggestion = didYouMean(unknown.key, await repository.findKeys(tx))
    throw unprocessable(
      'permission-unknown',
      unknown.pointer,
      `The permission is not registered.${suggestion}`,
    )
  }
  return scopes
}

/** @throws Problem 422 for a resource type nobody registered, with the nearest known names */
export const requireResourceType = async (tx: Transaction, type: string, pointer: string) => {
  const types = await repository.findResourceTypes(tx)
  if (!types.includes(type))
    throw unprocessable(
      'resource-type-unknown',
      pointer,
      `The resource type is not registered.${didYouMean(type, types)}`,
    )
}
