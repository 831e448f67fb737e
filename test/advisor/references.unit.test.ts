import { describe, expect, test } from 'vitest'
import { readPlanReferences } from '../../src/advisor/plan-references.ts'
import { readReferences } from '../../src/advisor/references.ts'
import { operandText, type Predicate, type References } from '../../src/advisor/relation.ts'
import { createSqlParser } from '../../src/platform/node/sql-parser.ts'
import { tableOf, targetOf } from './targets.ts'

const parser = createSqlParser()
const target = targetOf(
  [
    tableOf('orders', [
      ...['id', 'user_id', 'status character varying(20)', 'total numeric', 'paid boolean'],
      ...['at timestamp without time zone', 'data jsonb', 'tags text[]', 'deleted_at date'],
    ]),
    tableOf('users', ['id', 'name text', 'team_id']),
    tableOf('users', ['id', 'secret text'], { schema: 'other' }),
  ],
  { searchPath: ['missing', 'public'] },
)

const predicateText = ({ on, kind, values, other }: Predicate) =>
  [
    `${operandText(on)} ${kind}`,
    ...(values.length > 0 ? [values.join('|')] : []),
    ...(other ? [`${other.relation.alias}.${other.column}`] : []),
  ].join(' ')

const shown = ({ relations }: References) =>
  Object.fromEntries(
    relations.map(({ alias, predicates, alternatives, orders, groups }) => [
      alias,
      [
        ...predicates.map(predicateText),
        ...alternatives.map((arms) =>
          arms.map((arm) => arm.map(predicateText).join(' & ')).join(' | '),
        ),
        ...orders.map(
          (keys) =>
            `order ${keys.map(({ on, descending }) => operandText(on) + (descending ? ' desc' : ''))}`,
        ),
        ...groups.map((group) => `group ${group.map(operandText)}`),
      ],
    ]),
  )

const read = async (text: string) => shown(await readReferences(parser, text, target))

describe('a query is read:', () => {
  test.each<[string, string, Record<string, string[]>]>([
    [
      'equality',
      'select from orders where id = 1 and $1 = user_id',
      { orders: ['id equal 1', 'user_id equal'] },
    ],
    [
      'one of several',
      `select from orders where status in ('a', 'b') and user_id = any($1) and id = any('{1,2}'::int[])`,
      { orders: ['status equal a|b', 'user_id equal', 'id equal 1|2'] },
    ],
    [
      'ranges',
      'select from orders where id > 1 and 5 >= total and at between $1 and $2',
      { orders: ['id range 1', 'total range 5', 'at range', 'at range'] },
    ],
    [
      'nulls and truths',
      'select from orders where deleted_at is null and status is not null and paid and not paid and paid is false',
      {
        orders: [
          'deleted_at null',
          'status not-null',
          'paid equal t',
          'paid equal f',
          'paid equal f',
        ],
      },
    ],
    [
      'what no index finds',
      `select from orders where id <> 1 and user_id not in (2) and id + 1 = user_id and not (id = 3) and total = random()::int + id`,
      { orders: [] },
    ],
    [
      'patterns',
      `select from orders where status like 'x%' and status like '%x' and status ilike $1 and status like 'xy'`,
      { orders: ['status prefix x%', 'status anywhere %x', 'status anywhere', 'status equal xy'] },
    ],
    [
      'what holds what',
      `select from orders where data @> '{}' and tags && $1 and data ? 'k'`,
      { orders: ['data contains {}', 'tags contains', 'data contains k'] },
    ],
    [
      'expressions',
      `select from orders where lower(status) = $1 and data->>'k' = 'v' and (data->>'n')::int > 5 and date_trunc('day', at) = $2`,
      {
        orders: [
          '(lower(status)) equal',
          `((data ->> 'k')) equal v`,
          `(((data ->> 'n'))::integer) range 5`,
          `(date_trunc('day', at)) equal`,
        ],
      },
    ],
    [
      'expressions that change',
      `select from orders where date_trunc('day', deleted_at) = $1 and at::text = $2 and to_char(at, 'x') = 'y'`,
      { orders: [] },
    ],
    [
      'casts that change nothing',
      `select from orders where (status)::text = 'a'::text`,
      { orders: ['status equal a'] },
    ],
    [
      'rows',
      'select from orders where (user_id, id) > ($1, $2) and (id, total) = (1, 2)',
      { orders: ['user_id range', 'id equal 1', 'total equal 2'] },
    ],
    [
      'joins',
      'select from orders o join users u on o.user_id = u.id',
      { o: ['user_id join u.id'], u: ['id join o.user_id'] },
    ],
    [
      'joins by name',
      'select from orders o join users u using (id)',
      { o: ['id join u.id'], u: ['id join o.id'] },
    ],
    [
      'the search path and schemas',
      'select from users where secret = $1 union all select from other.users where secret = $1',
      { users: ['secret equal'] },
    ],
    [
      'an OR, each arm',
      'select from orders where id = 1 and (user_id = 2 or (total > 3 and paid))',
      { orders: ['id equal 1', 'user_id equal 2 | total range 3 & paid equal t'] },
    ],
    [
      'an OR of one column as IN',
      `select from orders where status = 'a' or status = 'b'`,
      { orders: ['status equal a|b'] },
    ],
    [
      'orders by name, number and alias',
      'select id as n, at from orders order by n desc, 2, total',
      { orders: ['order id desc,at,total'] },
    ],
    [
      'orders that no index has',
      'select id from orders order by id, at desc nulls last',
      { orders: ['order id'] },
    ],
    [
      'orders across a join up to there',
      'select from orders o, users u order by o.id, u.id, o.at',
      { o: ['order id'], u: [] },
    ],
    [
      'groups',
      'select status, count(*) from orders group by 1, user_id',
      { orders: ['group status,user_id'] },
    ],
    ['distinct', 'select distinct user_id from orders', { orders: ['group user_id'] }],
    [
      'distinct on',
      'select distinct on (user_id) id from orders order by user_id, at desc',
      { orders: ['order user_id,at desc'] },
    ],
    [
      'the least and greatest',
      'select max(at) from orders where user_id = $1',
      { orders: ['user_id equal', 'order at'] },
    ],
    [
      'windows',
      'select row_number() over (partition by user_id order by at desc) from orders',
      { orders: ['order user_id,at desc'] },
    ],
    [
      'subqueries, from outside',
      'select from (select user_id as u, id from orders) as s where s.u = $1 order by s.id',
      { orders: ['user_id equal', 'order id'] },
    ],
    [
      'WITH, from outside',
      'with w (a) as (select id from orders) select from w where a = 1',
      { orders: ['id equal 1'] },
    ],
    [
      'WITH that is kept apart',
      'with w as materialized (select id from orders where id = 2) select from w where id = 1',
      { orders: ['id equal 2'] },
    ],
    [
      'UNION, from outside',
      'select from (select id from orders union all select id from users) as s where id = $1',
      { orders: ['id equal'], users: ['id equal'] },
    ],
    [
      'EXISTS',
      'select from users u where exists (select from orders o where o.user_id = u.id and o.paid)',
      { u: ['id join o.user_id'], o: ['user_id join u.id', 'paid equal t'] },
    ],
    [
      'IN a subquery',
      'select from users where id in (select user_id from orders where total > 1)',
      { users: ['id join orders.user_id'], orders: ['total range 1', 'user_id join users.id'] },
    ],
    [
      'NOT EXISTS',
      'select from users u where not exists (select from orders where user_id = u.id)',
      { u: ['id join orders.user_id'], orders: ['user_id join u.id'] },
    ],
    [
      'a subquery among the outputs',
      'select (select max(at) from orders where user_id = u.id) from users u',
      { u: ['id join orders.user_id'], orders: ['user_id join u.id', 'order at'] },
    ],
    [
      'UPDATE',
      'update orders set total = 1 from users u where u.id = user_id and status = $1',
      { orders: ['user_id join u.id', 'status equal'], u: ['id join orders.user_id'] },
    ],
    [
      'DELETE',
      'delete from orders using users u where u.id = user_id',
      { orders: ['user_id join u.id'], u: ['id join orders.user_id'] },
    ],
    [
      'INSERT of a query',
      'insert into users select id from orders where paid',
      { orders: ['paid equal t'] },
    ],
    [
      'MERGE',
      'merge into users t using orders s on t.id = s.user_id when matched then delete',
      { t: ['id join s.user_id'], s: ['user_id join t.id'] },
    ],
    [
      'a WITH that hides a table',
      'with users as (select id from orders) select from users where id = 1',
      { orders: ['id equal 1'] },
    ],
  ])('%s', async (_, text, expected) => {
    expect(await read(text)).toEqual(expected)
  })

  test('with the columns it speaks of, what it changes and what is not there', async () => {
    const of = (text: string) => readReferences(parser, text, target)
    const { relations } = await of(
      'select u.name, count(*) from orders o join users u on u.id = o.user_id where o.paid group by u.name',
    )
    expect(relations.map(({ referenced }) => [...referenced].toSorted())).toEqual([
      ['paid', 'user_id'],
      ['id', 'name'],
    ])
    const all = await of('select s.* from (select * from users) as s')
    expect([...all.relations[0]!.referenced]).toEqual(['id', 'name', 'team_id'])
    const { updates, unknown } = await of(
      'update users set (name, team_id) = ($1, 2) from nowhere.x, gone',
    )
    expect(updates.map(({ columns }) => columns)).toEqual([['name', 'team_id']])
    expect(unknown).toEqual(['nowhere.x', 'gone'])
    expect((await of('select from pg_index, information_schema.tables')).unknown).toEqual([])
  })
})

test('a plan is read: its conditions, orders and groups, by the names it gives to tables', async () => {
  const scan = { 'Node Type': 'Seq Scan', Schema: 'public' }
  const plan = {
    'Node Type': 'Sort',
    'Sort Key': ['o.status DESC', 'o.at'],
    Plans: [
      {
        'Node Type': 'Hash Join',
        'Hash Cond': '(o.user_id = users_1.id)',
        'Join Filter': '(NOT (SubPlan 2))',
        Plans: [
          {
            ...scan,
            'Relation Name': 'orders',
            Alias: 'o',
            Output: ['o.id', 'o.at'],
            Filter: `(((o.status)::text = 'queued'::text) AND (o.deleted_at IS NULL) AND (o.total > $0))`,
          },
          {
            'Node Type': 'Hash',
            Plans: [
              { ...scan, 'Relation Name': 'users', Alias: 'users_1', Filter: '(team_id = 7)' },
            ],
          },
        ],
      },
      { ...scan, 'Relation Name': 'gone', Filter: '(this is not readable)' },
    ],
  }
  const references = await readPlanReferences(parser, plan, target)
  expect(shown(references)).toEqual({
    o: [
      'user_id join users_1.id',
      'status equal queued',
      'deleted_at null',
      'total range',
      'order status desc,at',
    ].toSorted((a, b) => (a.startsWith('order') ? 1 : b.startsWith('order') ? -1 : 0)),
    users_1: ['id join o.user_id', 'team_id equal 7'],
  })
  expect([...references.relations[0]!.referenced].toSorted()).toEqual([
    'at',
    'deleted_at',
    'id',
    'status',
    'total',
    'user_id',
  ])
})
