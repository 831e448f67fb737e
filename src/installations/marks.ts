import * as v from 'valibot'
import { jobType } from '../platform/jobs/job-type.ts'

/** Tells all who have a template installed of an advisory, or that it was withdrawn. */
export const spreadAdvisory = jobType(
  'installations.spread-advisory',
  'maintenance',
  v.strictObject({ advisory: v.string() }),
)

/** Quarantines all installations of a version that moderators block, or frees them: by a job, for there may be thousands. */
export const markBlocked = jobType(
  'installations.mark-blocked',
  'maintenance',
  v.strictObject({ template: v.string(), version: v.string(), reason: v.nullable(v.string()) }),
)
