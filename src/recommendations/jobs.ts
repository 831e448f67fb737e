import type { AdvisorSettings } from '../advisor/service.ts'
import { handle, type JobHandler } from '../platform/jobs/handler.ts'
import { giveAdvice } from './job-types.ts'
import { runAdvice } from './run.ts'

/** Without the parser, as on Workers, a run fails and says so. */
export const recommendationJobs = (settings: AdvisorSettings | undefined): JobHandler[] => [
  handle(giveAdvice, (job) => runAdvice(settings, job)),
]
