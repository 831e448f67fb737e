import * as v from 'valibot'
import { jobType } from '../platform/jobs/job-type.ts'
import { OneRun } from './schema.ts'

export const giveAdvice = jobType(
  'recommendations.advise',
  'analytics',
  v.strictObject(OneRun.entries),
)
