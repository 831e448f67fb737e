import { ceilingOf, findOrganizationLines } from '../decisions/ceiling.ts'
import { type CasbinLine, fromCasbin, toCasbin } from '../engine/casbin.ts'
import type { Line } from '../engine/line.ts'
import type { Context } from '../platform/context.ts'
import { changeOrganization, inPlatform } from '../platform/db/transaction.ts'
import { Problem } from '../platform/problem.ts'
import type { CreateGrant } from './schema.ts'
import { giveWithin, takeWithin } from './service.ts'

/** The part of Casbin's Model that an adapter writes to. */
type Model = {
  addPolicy(section: string, ptype: string, rule: string[]): boolean
  getPolicy(section: string, ptype: string): string[][]
  clearPolicy(): void
}

/** Which lines to load: those of some subjects and of every role and team. */
export type LineFilter = { subjects: readonly string[] }

const ROLE = /^role:(?:org_[0-9a-z]{26}\.)?(?:organization|workspace)\.(.+)$/

const readOnly = (what: string) =>
  new Problem(
    'unprocessable',
    'casbin-line-read-only',
    `${what} is changed by its own API, not as a Casbin line.`,
  )

/** The grant that a line stands for. @throws Problem 422 for lines that are no grants: roles, teams, owners */
const grantOf = (line: Line, organizationId: string): CreateGrant => {
  if (line.subject.startsWith('role:')) throw readOnly('What a role holds')
  const { place } = line
  if (place.kind === 'everywhere' || place.organizationId !== organizationId)
    throw readOnly('What holds outside this organization')
  const workspace = place.kind === 'workspace' ? place.workspaceId : undefined
  if (line.kind === 'role') {
    const role = ROLE.exec(line.holds)?.[1]
    if (role === undefined || role === 'owner') throw readOnly('A team, or ownership,')
    const resource = line.resource ? `${line.resource.type}:${line.resource.id}` : undefined
    return { subject: line.subject, role, workspace, resource, effect: 'allow' }
  }
  const { object, action } = line
  if (action === null || object.kind === 'all' || object.kind === 'prefix')
    throw readOnly('A line about more than one type, action or resource')
  return {
    subject: line.subject,
    permission: `${object.type}:${action}`,
    workspace,
    resource: object.kind === 'resource' ? `${object.type}:${object.id}` : undefined,
    effect: line.effect,
    condition: line.condition,
  }
}

const lineOf = (ptype: string, rule: readonly string[]): Line => {
  if (ptype !== 'p' && ptype !== 'g') throw readOnly(`A line of type ${ptype}`)
  return fromCasbin({ ptype, fields: rule })
}

const load = (model: Model, lines: Iterable<Line>) => {
  for (const line of lines) {
    const { ptype, fields }: CasbinLine = toCasbin(line)
    model.addPolicy(ptype, ptype, [...fields])
  }
}

/**
 * Casbin's Adapter, FilteredAdapter, BatchAdapter and UpdatableAdapter over one organization, so that stock Casbin runs on
 * our lines. Lines are pushed as arrays, never joined and parsed again. Every write is one transaction through the same
 * checks, triggers and constraints as the API, and is bounded by what the context's actor may give.
 *
 * Lines that are grants can be added and removed; what roles hold, teams and ownership are read only here.
 */
export const createCasbinAdapter = (context: Context) => {
  const { organizationId, sql } = context
  let filtered = false

  const write = (taken: readonly Line[], given: readonly Line[]) =>
    changeOrganization(context, async (tx) => {
      const ceiling = await ceilingOf(context, tx)
      for (const line of taken)
        await takeWithin(context, tx, {
          organizationId,
          ceiling,
          input: grantOf(line, organizationId),
        })
      for (const line of given)
        await giveWithin(context, tx, {
          organizationId,
          ceiling,
          input: grantOf(line, organizationId),
        })
    })

  const readLines = () => inPlatform(sql, (tx) => findOrganizationLines(tx, organizationId))

  return {
    /** Loads every line of the organization, built-in roles included. */
    loadPolicy: async (model: Model) => {
      load(model, await readLines())
      filtered = false
    },
    /** Loads the lines of some subjects, and those of every role and team they could come to. */
    loadFilteredPolicy: async (model: Model, { subjects }: LineFilter) => {
      const lines = await readLines()
      load(
        model,
        lines.filter(
          ({ subject }) => /^(?:role|team):/.test(subject) || subjects.includes(subject),
        ),
      )
      filtered = true
    },
    isFiltered: () => filtered,
    /** Makes the stored grants those of the model, in one transaction. Refused for a filtered model: it lacks the rest. */
    savePolicy: async (model: Model) => {
      if (filtered)
        throw new Error(
          'a filtered policy cannot be saved: it would end every grant it does not hold',
        )
      const wanted = new Map(
        ['p', 'g'].flatMap((ptype) =>
          model
            .getPolicy(ptype, ptype)
            .map((rule): [string, Line] => [`${ptype} ${rule.join('\n')}`, lineOf(ptype, rule)]),
        ),
      )
      const stored = new Map(
        (await readLines()).map((line): [string, Line] => {
          const { ptype, fields } = toCasbin(line)
          return [`${ptype} ${fields.join('\n')}`, line]
        }),
      )
      const gone = [...stored].filter(([key]) => !wanted.has(key)).map(([, line]) => line)
      const come = [...wanted].filter(([key]) => !stored.has(key)).map(([, line]) => line)
      await write(gone, come)
      return true
    },
    addPolicy: (_section: string, ptype: string, rule: string[]) =>
      write([], [lineOf(ptype, rule)]),
    removePolicy: (_section: string, ptype: string, rule: string[]) =>
      write([lineOf(ptype, rule)], []),
    addPolicies: (_section: string, ptype: string, rules: string[][]) =>
      write(
        [],
        rules.map((rule) => lineOf(ptype, rule)),
      ),
    removePolicies: (_section: string, ptype: string, rules: string[][]) =>
      write(
        rules.map((rule) => lineOf(ptype, rule)),
        [],
      ),
    /** Exact values only: no patterns, and an empty filter removes nothing rather than everything. */
    removeFilteredPolicy: async (
      _section: string,
      ptype: string,
      fieldIndex: number,
      ...values: string[]
    ) => {
      if (values.every((value) => value === ''))
        throw new Error('a filter without values would remove every line; name at least one')
      const lines = (await readLines()).filter((line) => {
        const casbin = toCasbin(line)
        return (
          casbin.ptype === ptype &&
          values.every(
            (value, index) => value === '' || casbin.fields[fieldIndex + index] === value,
          )
        )
      })
      await write(lines, [])
    },
    updatePolicy: (_section: string, ptype: string, before: string[], after: string[]) =>
      write([lineOf(ptype, before)], [lineOf(ptype, after)]),
  }
}
