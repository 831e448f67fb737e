import * as v from 'valibot'
import { handle, type JobHandler } from '../platform/jobs/handler.ts'
import { jobType } from '../platform/jobs/job-type.ts'
import type { BuiltInSchedule } from '../platform/jobs/schedule.ts'
import type { SqlParser } from '../platform/sql-parser.ts'
import { collectStatements, pruneWorkload } from './collect.ts'

const Nothing = v.strictObject({})
const collect = jobType('workload.collect', 'maintenance', Nothing)
const prune = jobType('workload.prune', 'maintenance', Nothing)

/** Without the parser, as on Workers, nobody can tell statements apart, and nothing is collected. */
export const workloadJobs = (parser: SqlParser | undefined): JobHandler[] => [
  handle(collect, async ({ context }) =>
    parser ? collectStatements(context, parser) : { statements: 0, added: 0 },
  ),
  handle(prune, ({ context, signal }) => pruneWorkload(context, signal)),
]

export const workloadSchedules: BuiltInSchedule[] = [
  { name: 'workload.collect', cron: '*/5 * * * *', queue: 'maintenance', job: collect({}) },
  { name: 'workload.prune', cron: '53 4 * * *', queue: 'maintenance', job: prune({}) },
]
