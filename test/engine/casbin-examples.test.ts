import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import {
  type DefaultRoleManager,
  EnforceContext,
  type Enforcer,
  FileAdapter,
  newEnforcer,
  newModelFromString,
  Util,
} from 'casbin'
import { afterAll, describe, expect, test } from 'vitest'
import { chooseTier } from '../../src/engine/model.ts'
import {
  createGenericEngine,
  type GenericEngineOptions,
  type GenericLines,
} from '../../src/engine/narrowed.ts'

// The examples that the npm package of Casbin brings, asked every question that their values can make.

const casbin = createRequire(import.meta.url).resolve('casbin')
const EXAMPLES = join(dirname(casbin), '../../examples')
const read = (name: string) => readFileSync(join(EXAMPLES, `${name}.conf`), 'utf8')

const { keyMatchFunc, keyMatch2Func, keyMatch3Func } = Util

type Example = {
  model: string
  policy: string
  tier: 'narrowed' | 'full'
  decisions: number
  allows: number
  digest: string
  values?: { [field: string]: string }
  only?: { [field: string]: string }
  options?: GenericEngineOptions
}

const books = '/book/1 /book/2 /pen/1 /pen/2 /pen2/1 /pen2/2'
const verbs = 'GET POST'

const examples: Example[] = (
  [
    ['basic_model', 'basic_policy', 'narrowed', 27, 2, '1ecf01490f'],
    ['basic_model', 'basic_inverse_policy', 'narrowed', 27, 2, 'ed773d59c0'],
    ['basic_with_root_model', 'basic_policy', 'full', 36, 11, 'cfded1443a', { sub: 'root' }],
    ['basic_without_users_model', 'basic_without_users_policy', 'narrowed', 9, 2, '861eb799a7'],
    [
      'basic_without_resources_model',
      'basic_without_resources_policy',
      'narrowed',
      9,
      2,
      'acf74d1d01',
    ],
    ['rbac_model', 'rbac_policy', 'narrowed', 60, 6, '79183f2605'],
    ['rbac_model', 'rbac_with_hierarchy_policy', 'narrowed', 126, 13, '4d920a5cd4'],
    [
      'rbac_with_resource_roles_model',
      'rbac_with_resource_roles_policy',
      'narrowed',
      126,
      8,
      'af4913f9e6',
    ],
    ['rbac_with_domains_model', 'rbac_with_domains_policy', 'narrowed', 216, 8, 'f76b3eede9'],
    ['rbac_with_domains_model', 'rbac_with_domains_policy2', 'narrowed', 420, 12, 'd046f37fe2'],
    [
      'rbac_with_domains_model',
      'rbac_with_hierarchy_with_domains_policy',
      'narrowed',
      180,
      6,
      'df3fb19dfb',
    ],
    ['rbac_with_deny_model', 'rbac_with_deny_policy', 'narrowed', 60, 5, '899a5053a7'],
    ['rbac_with_not_deny_model', 'rbac_with_deny_policy', 'narrowed', 60, 59, '311ba0cfb2'],
    ['priority_model', 'priority_policy', 'narrowed', 105, 3, 'a6509e939a'],
    ['priority_model', 'priority_indeterminate_policy', 'narrowed', 8, 0, '94bc0657df'],
    ['priority_model_explicit', 'priority_policy_explicit', 'narrowed', 105, 5, '4a7c62323b'],
    ['subject_priority_model', 'subject_priority_policy', 'narrowed', 112, 2, 'c1313a5b5a'],
    [
      'subject_priority_model_with_domain',
      'subject_priority_policy_with_domain',
      'narrowed',
      144,
      2,
      'fd66098e06',
    ],
    [
      'keymatch_model',
      'keymatch_policy',
      'narrowed',
      112,
      16,
      '3a36c18fc9',
      {
        obj: '/alice_data/resource1 /alice_data/resource2 /bob_data/resource1 /cathy_data',
        act: verbs,
      },
    ],
    [
      'keymatch2_model',
      'keymatch2_policy',
      'narrowed',
      42,
      4,
      'f30a44cacd',
      {
        obj: '/alice_data /alice_data/resource1 /alice_data2/myid /alice_data2/myid/using/res_id',
        act: verbs,
      },
    ],
    [
      'glob_model',
      'glob_policy',
      'narrowed',
      110,
      9,
      '21368aa585',
      {
        sub: 'u1 u2 u3 u4',
        obj: '/foo/ /foo/subfoo /foo /foobar /prefix/foo /prefix/subprefix/foobar',
        act: 'read',
      },
    ],
    [
      'ipmatch_model',
      'ipmatch_policy',
      'narrowed',
      36,
      2,
      '8b973ac72a',
      {},
      {
        only: { sub: '192.168.2.123 192.168.0.123 10.0.0.5 192.168.0.1' },
      },
    ],
    [
      'basic_keyget2_model',
      'basic_keyget2_policy',
      'full',
      10,
      4,
      'b08ad12140',
      {
        obj: '/data /data/id /other/id',
      },
    ],
    [
      'rbac_with_pattern_model',
      'rbac_with_pattern_policy',
      'narrowed',
      840,
      29,
      '9bd72145cf',
      { obj: books, act: verbs },
      { options: { matching: { g2: keyMatch2Func } } },
    ],
    [
      'rbac_with_domain_pattern_model',
      'rbac_with_domain_pattern_policy',
      'narrowed',
      288,
      10,
      'ea21aa6241',
      {},
      { options: { domainMatching: { g: keyMatch2Func } } },
    ],
    [
      'rbac_with_all_pattern_model',
      'rbac_with_all_pattern_policy',
      'narrowed',
      240,
      8,
      'c75d0b71ca',
      { obj: '/book/1 /book/2' },
      { options: { matching: { g: keyMatch2Func }, domainMatching: { g: keyMatch2Func } } },
    ],
    [
      'rbac_with_hierarchical_domains_model',
      'rbac_with_hierarchical_domains_policy',
      'narrowed',
      2400,
      68,
      'baa3d03d59',
      { act: 'read write' },
      { options: { domainHierarchy: { g: 'g2' } } },
    ],
    [
      'issues/node_casbin_150_model',
      'issues/node_casbin_150_policy',
      'narrowed',
      72,
      8,
      '7eefc6af89',
      { act: verbs },
      { options: { matching: { g: keyMatchFunc } } },
    ],
  ] as [
    string,
    string,
    Example['tier'],
    number,
    number,
    string,
    Example['values']?,
    Partial<Example>?,
  ][]
).map(([model, policy, tier, decisions, allows, digest, values, rest]) => ({
  model,
  policy,
  tier,
  decisions,
  allows,
  digest,
  values,
  ...rest,
}))

/** Full Casbin with everything the options say, set up through its own interface. */
const casbinOf = async (
  modelText: string,
  load: (enforcer: Enforcer) => Promise<void>,
  options: GenericEngineOptions = {},
) => {
  const enforcer = await newEnforcer(newModelFromString(modelText))
  for (const [name, implementation] of Object.entries(options.functions ?? {}))
    await enforcer.addFunction(name, implementation)
  for (const [role, matching] of Object.entries(options.matching ?? {}))
    await enforcer.addNamedMatchingFunc(role, matching)
  for (const [role, matching] of Object.entries(options.domainMatching ?? {}))
    await enforcer.addNamedDomainMatchingFunc(role, matching)
  for (const [role, over] of Object.entries(options.domainHierarchy ?? {}))
    await (enforcer.getNamedRoleManager(role) as DefaultRoleManager).addDomainHierarchy(
      enforcer.getNamedRoleManager(over)!,
    )
  await load(enforcer)
  return enforcer
}

const fromFile = (policy: string) => async (enforcer: Enforcer) => {
  enforcer.setAdapter(new FileAdapter(join(EXAMPLES, `${policy}.csv`)))
  await enforcer.loadPolicy()
}

/** The lines as the file has them, before Casbin sorts them. */
const linesOf = async (modelText: string, policy: string): Promise<GenericLines> => {
  const model = newModelFromString(modelText)
  await new FileAdapter(join(EXAMPLES, `${policy}.csv`)).loadPolicy(model)
  return Object.fromEntries(
    ['p', 'g'].flatMap((section) =>
      [...(model.model.get(section) ?? [])].map(([ptype, definition]) => [
        ptype,
        definition.policy,
      ]),
    ),
  )
}

const words = (text = '') => text.split(' ').filter(Boolean)

/** The values that a field of the question takes, sorted. */
const valuesOf = (field: string, enforcer: Enforcer, { values, only }: Example): string[] => {
  if (only?.[field]) return words(only[field]).sort()
  const { model } = enforcer.getModel()
  const { tokens, policy } = model.get('p')!.get('p')!
  const links = [...(model.get('g')?.values() ?? [])].flatMap((definition) => definition.policy)
  const position = tokens.indexOf(`p_${field}`)
  const found = position < 0 ? [] : policy.map((line) => line[position]!)
  if (['sub', 'user', 'obj'].includes(field)) found.push(...links.flatMap(([a, b]) => [a!, b!]))
  if (field === 'dom')
    found.push(...links.flatMap(([a, b, domain]) => (domain === undefined ? [a!, b!] : [domain])))
  return [...new Set([...found, ...words(values?.[field]), 'nobody'])].sort()
}

const crossProduct = (fields: string[][]): string[][] =>
  fields.reduce<string[][]>(
    (rows, values) => rows.flatMap((row) => values.map((value) => [...row, value])),
    [[]],
  )

const evaluated = { ours: 0, all: 0, decisions: 0 }
afterAll(() => {
  const { ours, all, decisions } = evaluated
  // biome-ignore lint/suspicious/noConsole: the share of lines is what narrowing is for.
  console.log(`${decisions} decisions: ${ours} of ${all} lines evaluated`)
})

const replay = async (example: Example) => {
  const { model, policy, options } = example
  const full = await casbinOf(read(model), fromFile(policy), options)
  const engine = createGenericEngine(read(model), { ...options, linksMax: 10 })
  engine.load(await linesOf(read(model), policy))
  const fields = full
    .getModel()
    .model.get('r')!
    .get('r')!
    .tokens.map((token) => token.slice(2))
  const requests = crossProduct(fields.map((field) => valuesOf(field, full, example)))
  const lineCount = full.getModel().model.get('p')!.get('p')!.policy.length
  const rows = requests.map((request) => {
    const [allowed, line] = full.enforceExSync(...request)
    expect(engine.enforce(request), request.join()).toBe(allowed)
    expect(engine.explain(request).line ?? [], request.join()).toEqual(line)
    evaluated.ours += Math.max(1, engine.linesFor(request).length)
    evaluated.all += lineCount
    evaluated.decisions += 1
    return `${request.join('|')}=${allowed ? 1 : 0}`
  })
  return { engine, rows }
}

test.each(examples)('$model with $policy', async (example) => {
  const { engine, rows } = await replay(example)
  expect({
    tier: engine.tier,
    decisions: rows.length,
    allows: rows.filter((row) => row.endsWith('1')).length,
    digest: createHash('sha256').update(rows.join('\n')).digest('hex').slice(0, 10),
  }).toEqual({
    tier: example.tier,
    decisions: example.decisions,
    allows: example.allows,
    digest: example.digest,
  })
})

test('rbac_with_pattern with keyMatch3 decides as Casbin does', async () => {
  const example = examples.find(({ model }) => model === 'rbac_with_pattern_model')!
  const { rows } = await replay({ ...example, options: { matching: { g2: keyMatch3Func } } })
  expect(rows.some((row) => row.endsWith('1'))).toBe(true)
})

describe('examples without a table of questions', () => {
  /** Ours and Casbin agree, and the named requests are the ones allowed. */
  const compare = async (
    modelText: string,
    lines: GenericLines,
    questions: [unknown[], boolean][],
    options: GenericEngineOptions = {},
  ) => {
    const load = async (enforcer: Enforcer) => {
      for (const [ptype, rows] of Object.entries(lines))
        enforcer.getModel().model.get(ptype.slice(0, 1))!.get(ptype)!.policy = rows.map((row) => [
          ...row,
        ])
      await enforcer.buildRoleLinks()
    }
    const full = await casbinOf(modelText, load, options)
    const engine = createGenericEngine(modelText, options)
    engine.load(lines)
    for (const [request, allowed] of questions) {
      expect(full.enforceSync(...request)).toBe(allowed)
      expect(engine.enforce(request)).toBe(allowed)
    }
    return engine
  }

  const alice = { Owner: 'alice' }

  test('abac_model', async () => {
    const engine = await compare(read('abac_model'), {}, [
      [['alice', alice, 'read'], true],
      [['bob', alice, 'read'], false],
    ])
    expect(engine.tier).toBe('full')
  })

  test('abac_not_using_policy_model, with lines that the matcher does not read', async () => {
    const lines = await linesOf(read('abac_not_using_policy_model'), 'abac_rule_effect_policy')
    await compare(read('abac_not_using_policy_model'), lines, [
      [['alice', alice, 'read'], true],
      [['bob', alice, 'read'], false],
    ])
  })

  test('abac_rule_model: rules in lines', async () => {
    const lines = await linesOf(read('abac_rule_model'), 'abac_rule_policy')
    const engine = await compare(read('abac_rule_model'), lines, [
      [[{ Age: 16 }, '/data1', 'read'], false],
      [[{ Age: 30 }, '/data1', 'read'], true],
      [[{ Age: 16 }, '/data2', 'write'], true],
      [[{ Age: 60 }, '/data2', 'write'], false],
      [[{ Age: 30 }, '/data1', 'write'], false],
    ])
    expect(engine.tier).toBe('full')
  })

  test('in_operator_model', async () => {
    await compare(read('in_operator_model'), {}, [
      [
        [
          { Owner: 'a', Doc: 'x' },
          { Owner: 'a', Docs: ['x', 'y'] },
        ],
        true,
      ],
      [
        [
          { Owner: 'a', Doc: 'z' },
          { Owner: 'a', Docs: ['x', 'y'] },
        ],
        false,
      ],
      [
        [
          { Owner: 'b', Doc: 'x' },
          { Owner: 'a', Docs: ['x', 'y'] },
        ],
        false,
      ],
    ])
  })

  test('keymatch_custom_model: a function of our own', async () => {
    const keyMatchCustom = (asked: string, held: string) =>
      (asked === '/alice_data2/myid/using/res_id' && held === '/alice_data/:resource') ||
      (asked === '/alice_data2/myid/using/res_id' && held === '/alice_data2/:id/using/:resId')
    const lines = await linesOf(read('keymatch_custom_model'), 'keymatch2_policy')
    const engine = await compare(
      read('keymatch_custom_model'),
      lines,
      [
        [['alice', '/alice_data2/myid', 'GET'], false],
        [['alice', '/alice_data2/myid/using/res_id', 'GET'], true],
        [['bob', '/alice_data2/myid/using/res_id', 'GET'], false],
      ],
      { functions: { keyMatchCustom } },
    )
    expect(engine.tier).toBe('narrowed')
  })

  const second = { r: 'r2', p: 'p2', e: 'e', m: 'm2' }

  test('multiple_policy_definitions: the second definitions by name', async () => {
    const modelText = read('multiple_policy_definitions_model')
    const lines = await linesOf(modelText, 'multiple_policy_definitions_policy')
    const engine = await compare(modelText, lines, [[['alice', 'data2', 'read'], true]])
    const full = await casbinOf(modelText, fromFile('multiple_policy_definitions_policy'))
    for (const [request, allowed] of [
      [[{ Age: 70 }, '/data1', 'read'], false],
      [[{ Age: 30 }, '/data1', 'read'], true],
    ] as const) {
      expect(full.enforceSync(new EnforceContext('r2', 'p2', 'e', 'm2'), ...request)).toBe(allowed)
      expect(engine.enforce(request, second)).toBe(allowed)
    }
    expect(engine.explain([{ Age: 30 }, '/data1', 'read'], second).line).toEqual([
      'r2.sub.Age > 18 && r2.sub.Age < 60',
      '/data1',
      'read',
      'allow',
    ])
    expect(() => engine.enforce([], { ...second, p: 'p3' })).toThrow('The model defines no p3.')
  })

  test('rbac_with_multiple_policy', async () => {
    const modelText = read('rbac_with_multiple_policy_model')
    const lines = await linesOf(modelText, 'rbac_with_multiple_policy_policy')
    const engine = await compare(modelText, lines, [
      [['alice', '/data', 'POST'], true],
      [['alice', '/data', 'GET'], true],
      [['bob', '/data', 'GET'], false],
    ])
    const role = { r: 'r', p: 'p2', e: 'e', m: 'm2' }
    // Its m2 compares with p.action, which a line of p2 does not have.
    const full = await casbinOf(modelText, fromFile('rbac_with_multiple_policy_policy'))
    const { r, p, e, m } = role
    expect(full.enforceSync(new EnforceContext(r, p, e, m), 'alice', '', 'create')).toBe(false)
    expect(engine.enforce(['alice', '', 'create'], role)).toBe(false)
  })

  test('mulitple_policy: lines of p2 only', async () => {
    const modelText = read('basic_model')
      .replace('p = sub, obj, act', 'p = sub, obj, act\np2 = sub, obj, act')
      .replace('m = ', 'm2 = r.sub == p2.sub && r.obj == p2.obj && r.act == p2.act\nm = ')
    const engine = createGenericEngine(modelText)
    engine.load(await linesOf(modelText, 'mulitple_policy'))
    const context = { r: 'r', p: 'p2', e: 'e', m: 'm2' }
    expect(engine.enforce(['alice', 'data1', 'read'], context)).toBe(true)
    expect(engine.enforce(['bob', 'data1', 'read'], context)).toBe(false)
    expect(engine.enforce(['alice', 'data1', 'read'])).toBe(false)
  })

  test('rbac_g2', async () => {
    const lines = await linesOf(read('rbac_g2_model'), 'rbac_g2_policy')
    await compare(read('rbac_g2_model'), lines, [
      [['alice', 'data1', 'read'], false],
      [['admin', 'data1', 'read'], true],
    ])
  })

  test('no lines at all', async () => {
    await compare(read('basic_model'), {}, [
      [['alice', 'data1', 'read'], false],
      [['bob', 'data2', 'write'], false],
      [['', '', ''], true],
    ])
    await compare(read('basic_with_root_model'), {}, [
      [['alice', 'data1', 'read'], false],
      [['root', 'data1', 'read'], true],
    ])
  })
})

test('every model has a tier', () => {
  for (const { model, tier } of examples) expect(chooseTier(read(model)).tier).toBe(tier)
})
