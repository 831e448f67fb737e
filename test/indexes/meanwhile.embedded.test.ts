import { expect, test } from 'vitest'
import { applyAdvice } from '../../src/indexes/build.ts'
import { approve } from '../../src/indexes/service.ts'
import { startTestServer } from '../support/server.ts'
import { advise, entryOf, indexesOf, jobOf, makeParcels, operatorOf } from './fixtures.ts'

test('questions that come during a build wait for it and are answered', async () => {
  const server = await startTestServer()
  await makeParcels(server.sql, { rows: 100_000 })
  const { id, index } = await advise(server.sql, {
    definition: 'on public.parcels (status, customer)',
  })
  await approve(operatorOf(server), { recommendation: id })
  const building = applyAdvice(jobOf(server, id))
  const answers = await Promise.all(
    Array.from({ length: 5 }, () => server.call('GET /v1/optimizer/indexes?limit=1')),
  )
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200])
  expect(await building).toEqual({ status: 'active' })
  expect(await indexesOf(server.sql)).toEqual([{ name: index, valid: true }])

  // A build that fails leaves the connection as it was: outside transactions, as its own user, without the index.
  await server.sql`insert into parcels values (0, 0, '', (
    select string_agg(md5(i::text), '') from generate_series(1, 1000) i))`
  const tooLong = await advise(server.sql, { definition: 'on public.parcels (note)' })
  await approve(operatorOf(server), { recommendation: tooLong.id })
  await expect(applyAdvice(jobOf(server, tooLong.id))).rejects.toThrow(/index row requires/)
  expect((await entryOf(server.sql, tooLong.id)).status).toBe('failed')
  const [row] = await server.sql`select current_user = session_user as is_own`
  expect(row!.isOwn).toBe(true)
  expect(await indexesOf(server.sql)).toEqual([{ name: index, valid: true }])
  await server.drop()
})
