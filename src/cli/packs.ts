import { readPacks } from '../node.ts'
import { ask, Refused, type Remote } from './remote.ts'
import { table } from './table.ts'

type Pack = Awaited<ReturnType<typeof readPacks>>[number]
type Asked = Remote & { organization: string }

/** Built-in roles keep their names to themselves: those of a template stand behind the name of their pack. */
const nameIn = ({ name: pack }: Pack, name: string) => `${pack}.${name}`

const keyOf = ({ scope, name }: { scope: string; name: string }) => `${scope} ${name}`

/** A built-in pack as the definition of a role pack: its roles of organizations and workspaces, with what they hold. */
export const packDefinition = (pack: Pack) => {
  const roles = pack.roles.filter(
    ({ scope, holdsEveryPermission }) => scope !== 'platform' && !holdsEveryPermission,
  )
  const known = new Set(roles.map(keyOf))
  // A name that stands in both scopes is told apart.
  const isDouble = (name: string) => roles.filter((role) => role.name === name).length > 1
  const named = ({ scope, name }: { scope: string; name: string }) =>
    nameIn(pack, isDouble(name) ? `${scope}-${name}` : name)
  return {
    roles: roles.map((role) => ({
      name: named(role),
      description: role.description,
      scope: role.scope,
      permissions: pack.rolePermissions
        .filter((held) => keyOf(held) === keyOf(role))
        .map(({ permission, condition }) =>
          condition === null ? permission : { permission, condition },
        ),
      inherits: pack.roleInherits
        .filter((link) => keyOf(link) === keyOf(role))
        .map((link) => ({ scope: link.parentScope, name: link.parentName }))
        .filter((parent) => known.has(keyOf(parent)))
        .map(named),
    })),
  }
}

const TITLES: Record<string, string> = {
  administration: 'Roles for administration',
  'scenario-builder': 'Roles for building scenarios',
  'model-workspace': 'Roles for working with models',
}

/** Hands the built-in packs in as templates and submits them; what is there already is left. */
export const handInPacks = async (asked: Asked): Promise<void> => {
  const path = `/v1/organizations/${encodeURIComponent(asked.organization)}/templates`
  const rows: string[][] = []
  for (const pack of await readPacks()) {
    const body = {
      ...{ slug: `pack-${pack.name}`, kind: 'role_pack', name: TITLES[pack.name] ?? pack.name },
      ...{ category: 'security', license: 'Apache-2.0', tags: ['roles'] },
      summary: `The roles of the built-in pack ${pack.name}, to be kept and changed as your own`,
      definition: packDefinition(pack),
    }
    try {
      const { id } = await ask<{ id: string }>(asked, 'POST', path, JSON.stringify(body))
      const visibility = JSON.stringify({ visibility: 'public' })
      await ask(asked, 'PUT', `${path}/${id}/visibility`, visibility)
      await ask(asked, 'POST', `${path}/${id}/versions/0.1.0/submit`, '{}')
      rows.push([pack.name, 'submitted', id])
    } catch (error) {
      if (!(error instanceof Refused) || error.code !== 'template-exists') throw error
      rows.push([pack.name, 'there already', ''])
    }
  }
  process.stdout.write(table(['pack', '', 'template'], rows))
}
