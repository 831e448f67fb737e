import fc from 'fast-check'
import { expect, test } from 'vitest'
import { linesOfOrganization, platformRoles } from '../../src/decisions/lines.ts'
import type {
  GrantRow,
  OrganizationRows,
  RoleInheritRow,
  RolePermissionRow,
} from '../../src/decisions/repository.ts'

const HOME = 'org_1'
const role = fc.constantFrom('editor', 'viewer', 'lead')
const subject = fc.constantFrom('user:a', 'user:b', 'team:x')
const orNull = <Value>(value: fc.Arbitrary<Value>) => fc.option(value, { nil: null })

const grant = fc
  .record({
    subject,
    workspace: orNull(fc.constantFrom('w1', 'w2')),
    id: orNull(fc.constantFrom('1', '2')),
    held: fc.oneof(role, fc.constantFrom('repo:read', 'repo:write')),
    effect: fc.constantFrom('allow' as const, 'deny' as const),
    condition: orNull(fc.constant('context.ok')),
    expiresAtMs: orNull(fc.nat(3)),
  })
  .map(({ subject, workspace, id, held, effect, condition, expiresAtMs }): GrantRow => {
    const on = id === null ? ([null, null] as const) : (['repo', id] as const)
    const what = held.includes(':')
      ? ([null, null, null, held] as const)
      : ([HOME, 'workspace', held, null] as const)
    return [subject, workspace, ...on, ...what, effect, condition, expiresAtMs]
  })

const rolePermission = fc
  .tuple(role, fc.constantFrom('repo:read', 'repo:write'), orNull(fc.constant('context.ok')))
  .map(([name, held, condition]): RolePermissionRow => [HOME, 'workspace', name, held, condition])
const roleInherit = fc
  .tuple(role, role)
  .map(([name, from]): RoleInheritRow => [HOME, 'workspace', name, HOME, 'workspace', from])

const rows = fc.record({
  grants: fc.array(grant),
  teamMembers: fc.array(fc.tuple(subject, fc.constantFrom('x', 'y', 'z'))),
  rolePermissions: fc.array(rolePermission),
  roleInherits: fc.array(roleInherit),
})

const nothing: OrganizationRows = {
  ...{ id: HOME, slug: 'one', status: 'active', security: {}, revision: 1 },
  ...{ workspaces: [], members: [], teams: [], teamMembers: [], roles: [] },
  ...{ rolePermissions: [], roleInherits: [], resources: [], grants: [] },
}
const platform = platformRoles({
  ...{ revision: 1, permissions: [], strictTypes: [], roles: [] },
  ...{ rolePermissions: [], roleInherits: [], grants: [] },
})
const linesBySubject = (given: Partial<OrganizationRows>) => {
  const lines = [...linesOfOrganization({ ...nothing, ...given }, platform)]
  return new Map([...Map.groupBy(lines, (line) => line.subject)].sort())
}

test('a subject’s lines come in one order, in whatever order its rows are read', () => {
  const shuffled = <Row>(all: Row[]) =>
    fc.shuffledSubarray(all, { minLength: all.length, maxLength: all.length })
  const twice = rows.chain((one) =>
    fc.tuple(
      fc.constant(one),
      fc.record({
        grants: shuffled(one.grants),
        teamMembers: shuffled(one.teamMembers),
        rolePermissions: shuffled(one.rolePermissions),
        roleInherits: shuffled(one.roleInherits),
      }),
    ),
  )
  fc.assert(
    fc.property(twice, ([one, other]) => {
      expect(linesBySubject(other)).toEqual(linesBySubject(one))
    }),
    { numRuns: 300 },
  )
})
