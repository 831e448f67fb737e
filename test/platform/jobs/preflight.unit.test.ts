import { expect, test } from 'vitest'
import { judgeRedis } from '../../../src/platform/jobs/preflight.ts'

const FIT = {
  redis_version: '7.0.15',
  redis_mode: 'standalone',
  role: 'master',
  maxmemory_policy: 'noeviction',
  aof_enabled: '1',
}
const infoOf = (over: Partial<Record<keyof typeof FIT, string | undefined>> = {}) =>
  `# Server\r\n${Object.entries({ ...FIT, ...over })
    .flatMap(([name, value]) => (value === undefined ? [] : [`${name}:${value}`]))
    .join('\r\n')}\r\n`

test.each([
  ['as it should be', {}],
  ['of the oldest version', { redis_version: '6.2.0' }],
  ['Valkey, which says it is Redis 7.2.4', { redis_version: '7.2.4' }],
])('one %s may carry jobs', (_, over) => {
  expect(judgeRedis(infoOf(over))).toEqual({ fault: undefined, warnings: [] })
})

test.each([
  ['too old', { redis_version: '6.0.16' }, /it is Redis 6\.0\.16; at least 6\.2 is needed/],
  ['much too old', { redis_version: '5.0.7' }, /it is Redis 5\.0\.7/],
  ['of no version', { redis_version: undefined }, /unknown version/],
  ['a cache', { maxmemory_policy: 'allkeys-lru' }, /maxmemory-policy is allkeys-lru.*noeviction/],
  ['half a cache', { maxmemory_policy: 'volatile-ttl' }, /maxmemory-policy is volatile-ttl/],
  ['a node of a cluster', { redis_mode: 'cluster' }, /node of a cluster/],
  ['a replica', { role: 'slave' }, /replica/],
])('one that is %s may not, and is told why', (_, over, why) => {
  expect(judgeRedis(infoOf(over)).fault).toMatch(why)
})

test('without an append-only file nothing is lost, and that is said', () => {
  const { fault, warnings } = judgeRedis(infoOf({ aof_enabled: '0' }))
  expect(fault).toBeUndefined()
  expect(warnings).toEqual([
    expect.stringMatching(/no job is lost, because PostgreSQL has them all/),
  ])
})

test('one that does not tell its policy may carry jobs, with a warning', () => {
  const { fault, warnings } = judgeRedis(infoOf({ maxmemory_policy: undefined }))
  expect(fault).toBeUndefined()
  expect(warnings).toHaveLength(1)
})
