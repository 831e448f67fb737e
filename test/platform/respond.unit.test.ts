import { HTTPException } from 'hono/http-exception'
import { describe, expect, test } from 'vitest'
import {
  isDatabaseAway,
  problemOfViolation,
  type Violations,
} from '../../src/platform/db/violation.ts'
import { problemOf, renderProblem, STATUS } from '../../src/platform/http/respond.ts'
import { Problem, type ProblemKind } from '../../src/platform/problem.ts'

const VIOLATIONS: Violations = {
  things_are_unique: ['conflict', 'thing-exists', 'There is such a thing.', '/name'],
  LK002: ['conflict', 'last-owner', 'The last one stays.'],
}
const databaseError = (members: object) =>
  Object.assign(new Error('the text of the driver, with hunter2'), {
    name: 'PostgresError',
    ...members,
  })

describe('a problem', () => {
  test.each(Object.entries(STATUS))(
    '%s is answered with %s as RFC 9457 says',
    async (kind, status) => {
      const response = renderProblem(
        new Problem(kind as ProblemKind, 'a-code', 'A sentence.'),
        'req 1',
      )
      expect(response.status).toBe(status)
      expect(response.headers.get('content-type')).toBe('application/problem+json')
      expect(response.headers.get('x-request-id')).toBe('req 1')
      expect(await response.json()).toEqual({
        type: 'urn:latchkey:problem:a-code',
        title: expect.any(String),
        status,
        code: 'a-code',
        detail: 'A sentence.',
        instance: 'urn:latchkey:request:req%201',
      })
      expect(response.headers.has('www-authenticate')).toBe(status === 401)
      expect(response.headers.has('retry-after')).toBe(status === 503)
    },
  )

  test('carries its places, its permission, what is allowed and when to come again', async () => {
    const response = renderProblem(
      new Problem('limited', 'slow-down', 'Later.', {
        retryAfterSeconds: 7,
        allow: ['GET', 'POST'],
        permission: 'a:b',
        errors: [{ pointer: '/x', detail: 'is wrong' }],
      }),
      'r',
    )
    expect([response.headers.get('retry-after'), response.headers.get('allow')]).toEqual([
      '7',
      'GET, POST',
    ])
    const body = (await response.json()) as object
    expect(body).toMatchObject({
      permission: 'a:b',
      errors: [{ pointer: '/x', detail: 'is wrong' }],
    })
    expect(body).not.toHaveProperty('retryAfterSeconds')
  })
})

describe('what was thrown', () => {
  test('is a problem by the name of the rule, or by its state', () => {
    const unique = databaseError({ code: '23505', constraint_name: 'things_are_unique' })
    expect(problemOfViolation(unique, VIOLATIONS)).toMatchObject({
      kind: 'conflict',
      code: 'thing-exists',
      extras: { errors: [{ pointer: '/name', detail: 'There is such a thing.' }] },
    })
    expect(problemOfViolation(databaseError({ code: 'LK002' }), VIOLATIONS)).toMatchObject({
      code: 'last-owner',
      extras: {},
    })
  })

  test('is no problem where no rule of ours was broken', () => {
    for (const error of [
      databaseError({ code: '23505', constraint_name: 'other' }),
      databaseError({ code: '42601' }),
      Object.assign(new Error('x'), { constraint_name: 'things_are_unique' }),
      new TypeError('x'),
      undefined,
      'text',
    ])
      expect(problemOf(error, VIOLATIONS)).toBe(undefined)
  })

  test.each(['08006', '53300', '57P01', '57P03', '58030'])(
    'by a database in state %s says it is away',
    (code) => {
      expect(isDatabaseAway(databaseError({ code }))).toBe(true)
    },
  )

  test.each(['ECONNREFUSED', 'CONNECTION_CLOSED', 'CONNECT_TIMEOUT', 'ECONNRESET'])(
    'as %s says the database is away',
    (code) => {
      const error = Object.assign(new Error('127.0.0.1:5432 hunter2'), { code })
      expect(problemOf(error, VIOLATIONS)).toMatchObject({
        kind: 'unavailable',
        code: 'database-unavailable',
      })
      expect(problemOf(new AggregateError([error]), VIOLATIONS)?.detail).not.toContain('hunter2')
    },
  )

  test.each(['23505', '42P01', '57014', '40001'])(
    'in state %s is not mistaken for an absence',
    (code) => {
      expect(isDatabaseAway(databaseError({ code }))).toBe(false)
    },
  )

  test('by the web framework is a malformed request, or one too large', () => {
    expect(problemOf(new HTTPException(400), VIOLATIONS)?.kind).toBe('invalid')
    expect(problemOf(new HTTPException(413), VIOLATIONS)?.kind).toBe('too-large')
    expect(problemOf(new HTTPException(500), VIOLATIONS)).toBe(undefined)
  })
})
