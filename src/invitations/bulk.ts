import { parse as parseCsv } from 'csv-parse/sync'
import * as v from 'valibot'
import type { Context } from '../platform/context.ts'
import { problemOfViolation } from '../platform/db/violation.ts'
import { parse } from '../platform/parse.ts'
import { Problem, unprocessable } from '../platform/problem.ts'
import { usageViolations } from '../usage/service.ts'
import { type BulkReport, CreateInvitation } from './schema.ts'
import { createInvitation } from './service.ts'

/** Lines one table may have. */
const LINES_MAX = 1000

const Line = v.object({
  email: v.string(),
  roles: v.optional(v.string(), ''),
  workspaces: v.optional(v.string(), ''),
})

/**
 * Invites everybody of a table (`email,roles,workspaces`). Each line is an invitation of its own: what is wrong with one is
 * reported in its place and stops no other.
 */
export const inviteMany = async (
  context: Context,
  { csv }: { csv: string },
): Promise<BulkReport> => {
  const lines: BulkReport['lines'] = []
  // A change of its own for each line; the key of the request stands for none of them.
  const within: Context = { ...context, idempotency: undefined }
  for (const { line, row } of readLines(csv)) {
    const email = String((row as { email?: unknown }).email ?? '')
    try {
      const invitation = await createInvitation(within, invitationOf(row))
      lines.push({ line, email, invitation: invitation.id, code: null, detail: null })
    } catch (error) {
      const problem = error instanceof Problem ? error : problemOfViolation(error, usageViolations)
      if (!problem || problem.kind === 'unavailable') throw error
      const detail = problem.extras.errors?.[0]?.detail ?? problem.detail
      lines.push({ line, email, invitation: null, code: problem.code, detail })
    }
  }
  context.revision = within.revision
  const invited = lines.filter(({ invitation }) => invitation !== null).length
  return { invited, refused: lines.length - invited, lines }
}

const readLines = (csv: string) => {
  try {
    const rows = parseCsv(csv, {
      columns: true,
      trim: true,
      bom: true,
      skip_empty_lines: true,
      info: true,
    }) as {
      record: object
      info: { lines: number }
    }[]
    if (rows.length > LINES_MAX)
      throw unprocessable('too-many-lines', '/csv', `At most ${LINES_MAX} lines at once.`)
    if (rows.length > 0 && !('email' in rows[0]!.record))
      throw unprocessable('column-missing', '/csv', 'The first line must name the column email.')
    return rows.map(({ record, info }) => ({ line: info.lines, row: record }))
  } catch (error) {
    if (error instanceof Problem) throw error
    const detail = error instanceof Error ? error.message : 'It cannot be read.'
    throw unprocessable('csv-invalid', '/csv', detail)
  }
}

const words = (text: string) => text.split(/[\s;|]+/).filter((word) => word !== '')

const invitationOf = (row: unknown): CreateInvitation => {
  const { email, roles, workspaces } = parse(Line, row)
  const inWorkspaces = Map.groupBy(
    words(workspaces).map((word) => word.split('=')),
    ([workspace]) => workspace ?? '',
  )
  return parse(CreateInvitation, {
    email,
    ...(words(roles).length > 0 ? { roles: words(roles) } : {}),
    workspaces: [...inWorkspaces].map(([workspace, held]) => ({
      workspace,
      roles: held.map(([, role]) => role ?? ''),
    })),
  })
}
