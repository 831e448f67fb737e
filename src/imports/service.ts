import { recordChange } from '../audit/service.ts'
import { ceilingOf, guardOwners } from '../decisions/ceiling.ts'
import { grantViolations } from '../grants/service.ts'
import { memberViolations } from '../members/service.ts'
import { organizationViolations } from '../organizations/service.ts'
import { type Context, revisionToken } from '../platform/context.ts'
import type { Transaction } from '../platform/db/connect.ts'
import { changeOrganization } from '../platform/db/transaction.ts'
import { problemOfViolation, type Violations } from '../platform/db/violation.ts'
import { Problem } from '../platform/problem.ts'
import { resourceViolations } from '../resources/service.ts'
import { roleViolations } from '../roles/service.ts'
import { teamViolations } from '../teams/service.ts'
import { isLimitReached } from '../usage/service.ts'
import { workspaceViolations } from '../workspaces/service.ts'
import { type Lists, parseObjects } from './document.ts'
import { createFaults, importInvalid } from './faults.ts'
import { createPace, slicesOf } from './pace.ts'
import { type Plan, planImport, reportOf } from './plan.ts'
import { refuseAbove } from './refuse-above.ts'
import { refuseAttributes } from './refuse-attributes.ts'
import { refuseLifting } from './refuse-lifting.ts'
import type { Run } from './run.ts'
import type { ImportDocument, ImportReport } from './schema.ts'
import { findCatalog, findRevision, planAnew } from './stored.ts'
import { touchedBy } from './touched.ts'
import { type Naming, writePlan } from './write.ts'

export { exportDocument } from './export.ts'

/** Objects that one event of the log names. */
const OBJECTS_PER_EVENT = 1000

/**
 * Imports a document: adds what is new, changes what differs, leaves alone what the document does not mention. All of it
 * or nothing, in one transaction; the same document twice changes nothing.
 */
export const importDocument = async (
  context: Context,
  { lists, sha256, dryRun }: { lists: Lists; sha256: string; dryRun: boolean },
): Promise<ImportReport> => {
  const document = await parseObjects(lists)
  try {
    return await changeOrganization(context, (tx, organizationId) =>
      importWithin(context, tx, { organizationId, document, sha256, dryRun }),
    )
  } catch (error) {
    if (error instanceof DryRun) return error.report
    throw error
  }
}

/** Ends the transaction of a dry run: everything was tried, and nothing is kept. */
class DryRun extends Error {
  readonly report: ImportReport
  constructor(report: ImportReport) {
    super('dry run')
    this.report = report
  }
}

const importWithin = async (
  context: Context,
  tx: Transaction,
  {
    organizationId,
    document,
    sha256,
    dryRun,
  }: { organizationId: string; document: ImportDocument; sha256: string; dryRun: boolean },
): Promise<ImportReport> => {
  const ceiling = await ceilingOf(context, tx)
  await planAnew(tx)
  const run: Run = {
    tx,
    organizationId,
    nowMs: context.now().getTime(),
    faults: createFaults(),
    pace: createPace(),
    ...(await findCatalog(tx)),
  }
  const plan = await planImport(run, document)
  run.faults.refuse()
  await refuseAbove(run, ceiling, plan)
  await refuseLifting(run, ceiling, plan)
  run.faults.refuse()
  const refuseHarm = await guardOwners(tx, ceiling, organizationId)
  await writePlan(context, run, plan, namingFaults(context))
  await refuseHarm()
  await refuseAttributes(run, ceiling, plan)
  const report = reportOf(plan)
  if (dryRun) throw new DryRun(report)
  await recordImport(context, tx, plan, sha256)
  return report
}

/** One event for each thousand objects, and the token of where the organization stands now. */
const recordImport = async (context: Context, tx: Transaction, plan: Plan, sha256: string) => {
  const parts = slicesOf(touchedBy(plan), OBJECTS_PER_EVENT)
  for (const [index, objects] of parts.entries())
    await recordChange(tx, context, {
      event: 'import.completed',
      resource: `import:${sha256}`,
      after: { sha256, part: index + 1, parts: parts.length, objects },
    })
  const { revision, platformRevision } = await findRevision(tx, context.organizationId)
  context.revision = revisionToken(context.organizationId, revision, platformRevision)
}

const VIOLATIONS: Violations = {
  ...organizationViolations,
  ...roleViolations,
  ...memberViolations,
  ...workspaceViolations,
  ...teamViolations,
  ...resourceViolations,
  ...grantViolations,
}

/** Rules that rows can break: data exceptions, constraints, and those of our own that raise. */
const REFUSED_ROWS = /^(?:22|23|LK)/

/** What the database refuses although it was looked at before is still a fault of the document, not of the server. */
const namingFaults =
  ({ log, requestId }: Context): Naming =>
  async (kind, work) => {
    try {
      await work()
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? String(error.code) : ''
      // A full organization is no fault of the document.
      if (error instanceof Problem || isLimitReached(error) || !REFUSED_ROWS.test(code)) throw error
      log.warn({ requestId, kind, err: error }, 'an import was refused by the database')
      const detail = problemOfViolation(error, VIOLATIONS)?.detail
      throw importInvalid([
        { pointer: `/${kind}`, detail: detail ?? 'The database refuses one of these.' },
      ])
    }
  }
