import { domainViolations } from '../domains/service.ts'
import { grantViolations } from '../grants/service.ts'
import { indexViolations } from '../indexes/service.ts'
import { installationViolations } from '../installations/service.ts'
import { jobViolations } from '../jobs/service.ts'
import { memberViolations } from '../members/service.ts'
import { orderViolations } from '../orders/service.ts'
import { organizationViolations } from '../organizations/service.ts'
import type { Violations } from '../platform/db/violation.ts'
import { resourceViolations } from '../resources/service.ts'
import { roleViolations } from '../roles/service.ts'
import { scenarioViolations } from '../scenarios/service.ts'
import { settingsViolations } from '../settings/service.ts'
import { teamViolations } from '../teams/service.ts'
import { templateViolations } from '../templates/service.ts'
import { usageViolations } from '../usage/service.ts'
import { workspaceViolations } from '../workspaces/service.ts'

/** Every rule of the database that callers can break, by its name. */
export const VIOLATIONS: Violations = {
  ...organizationViolations,
  ...settingsViolations,
  ...domainViolations,
  ...roleViolations,
  ...memberViolations,
  ...workspaceViolations,
  ...teamViolations,
  ...resourceViolations,
  ...grantViolations,
  ...jobViolations,
  ...usageViolations,
  ...scenarioViolations,
  ...orderViolations,
  ...installationViolations,
  ...templateViolations,
  ...indexViolations,
}
