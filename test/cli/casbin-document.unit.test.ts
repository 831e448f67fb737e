import { describe, expect, test } from 'vitest'
import { documentOfCasbin } from '../../src/cli/casbin-document.ts'
import { readCasbinCsv } from '../../src/engine/csv.ts'

const translate = (...lines: string[]) => {
  const { lines: rows, problems } = readCasbinCsv(lines.join('\n'))
  expect(problems).toEqual([])
  return documentOfCasbin(rows)
}

describe('a Casbin policy', () => {
  test('becomes roles, members, teams, workspaces and grants', () => {
    const { document, problems } = translate(
      'p, role:writer, *, doc:*, write, "true", allow',
      'p, role:writer, /acme/*, doc:*, read, "resource.owner == subject.id", allow',
      'g, role:writer, role:reader, *',
      'g, user:ann, role:writer, *',
      'g, user:ann, team:eng, *',
      'g, team:eng, team:all, *',
      'g, team:eng, role:writer, /acme/lab/*',
      'g, user:bob, role:writer, /acme/lab/doc:7',
      'p, user:bob, /acme/lab/*, doc:7, write, "true", deny',
      'p, service:ci, *, doc:a:b, read, "context.mfa == true", allow',
    )
    expect(problems).toEqual([])
    expect(document).toEqual({
      permissions: ['doc:read', 'doc:write'],
      roles: [
        {
          name: 'writer',
          permissions: [
            'doc:write',
            { permission: 'doc:read', condition: 'resource.owner == subject.id' },
          ],
          inherits: ['reader'],
        },
        { name: 'reader', permissions: [], inherits: [] },
      ],
      members: [
        { user: 'user:ann', roles: ['writer'] },
        { user: 'user:bob', roles: [] },
      ],
      teams: [
        { slug: 'eng', parent: 'all', members: ['user:ann'] },
        { slug: 'all', parent: null, members: [] },
      ],
      workspaces: [{ slug: 'lab', name: 'lab' }],
      grants: [
        { subject: 'team:eng', role: 'writer', workspace: 'lab' },
        { subject: 'user:bob', role: 'writer', workspace: 'lab', resource: 'doc:7' },
        {
          subject: 'user:bob',
          permission: 'doc:write',
          workspace: 'lab',
          resource: 'doc:7',
          effect: 'deny',
        },
        {
          subject: 'service:ci',
          permission: 'doc:read',
          resource: 'doc:a:b',
          condition: 'context.mfa == true',
        },
      ],
    })
  })

  test.each([
    ['a place that is none', 'g, user:a, role:b, nowhere', 'The domain is none of'],
    [
      'a permission on a place that is a resource',
      'p, user:a, /acme/doc:7, doc:7, read, "true", allow',
      'The domain is none of',
    ],
    [
      'inheritance in one workspace',
      'g, role:a, role:b, /acme/lab/*',
      'inherits in the whole organization',
    ],
    [
      'a team in one workspace',
      'g, user:a, team:b, /acme/lab/*',
      'A team is of the whole organization',
    ],
    [
      'something that is neither role nor team',
      'g, user:a, group:b, *',
      'neither role:name nor team:name',
    ],
    ['a role’s name that is none', 'g, user:a, role:B b, *', 'neither role:name nor team:name'],
    ['every action', 'p, user:a, *, doc:7, *, "true", allow', 'one resource type and one action'],
    ['every type', 'p, user:a, *, *, read, "true", allow', 'one resource type and one action'],
    ['a prefix of ids', 'p, user:a, *, doc:7*, read, "true", allow', 'A prefix of resource ids'],
    ['a role on one resource', 'p, role:a, *, doc:7, read, "true", allow', 'on whole types'],
    [
      'a role in one workspace',
      'p, role:a, /acme/lab/*, doc:*, read, "true", allow',
      'on whole types',
    ],
    ['a role that refuses', 'p, role:a, *, doc:*, read, "true", deny', 'refuses none'],
  ])('with %s is refused at its line', (_, line, detail) => {
    const { problems } = translate('g, user:x, role:y, *', line)
    expect(problems).toEqual([{ line: 2, detail: expect.stringContaining(detail) }])
  })

  test('with two parents of a team is refused', () => {
    const { problems } = translate(
      'g, team:a, team:b, *',
      'g, team:a, team:c, *',
      'g, team:a, team:b, *',
    )
    expect(problems).toEqual([{ line: 2, detail: 'A team has one parent at most.' }])
  })

  test('may use names that objects have anyway', () => {
    const { document } = translate('g, user:__proto__, role:constructor, *')
    expect(document.members).toEqual([{ user: 'user:__proto__', roles: ['constructor'] }])
  })
})
