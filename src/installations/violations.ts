import type { Violations } from '../platform/db/violation.ts'

/** What the database refuses about installations. */
export const installationViolations: Violations = {
  installations_one_role_pack: [
    'conflict',
    'role-pack-installed',
    'The organization has this pack installed; update it.',
    '/template',
  ],
}
