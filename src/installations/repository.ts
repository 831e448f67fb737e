import type { Actor } from '../platform/context.ts'
import type { Queryable } from '../platform/db/connect.ts'
import type { Advisory } from './schema.ts'

/** An installation as it is stored, with the names people know it by. */
export type StoredInstallation = {
  id: string
  organizationId: string
  templateId: string
  templateName: string
  publisherId: string
  kind: 'scenario' | 'role_pack'
  versionId: string
  version: string
  workspaceId: string | null
  workspace: string | null
  scenarioId: string | null
  inputs: Record<string, unknown>
  updatePolicy: 'pin' | 'notify' | 'patch' | 'minor'
  consentedCapabilities: string[]
  consentedBy: string
  consentedAt: string
  status: 'pending' | 'active' | 'refused' | 'removed'
  installer: Actor
  decidedBy: string | null
  quarantinedAt: string | null
  quarantineReason: string | null
  quarantinedBy: string | null
  updateAvailable: string | null
  installedAt: string
  updatedAt: string
  rowVersion: number
}

// What its publisher hid since is read all the same: whoever has it goes on seeing what they have.
const INSTALLATION = (tx: Queryable) => tx`
  i.id, i.organization_id, i.template_id, t.name as template_name, t.organization_id as publisher_id, t.kind, i.version_id, v.version,
  i.workspace_id, w.slug as workspace, i.scenario_id, i.inputs, i.update_policy, i.consented_capabilities, i.consented_by, i.consented_at,
  i.status, i.installer, i.decided_by, i.quarantined_at, i.quarantine_reason, i.quarantined_by, i.installed_at, i.updated_at,
  i.version as row_version, (
    select n.version from template_versions n
    where n.template_id = i.template_id and n.status = 'published' and n.prerelease is null
      and (n.approved_integrity is not null or t.organization_id = i.organization_id)
      and (n.major, n.minor, n.patch) > (v.major, v.minor, v.patch) and n.integrity <> v.integrity
    order by n.major desc, n.minor desc, n.patch desc limit 1) as update_available
  from installations i join templates t on t.id = i.template_id join template_versions v on v.id = i.version_id
  left join workspaces w on w.organization_id = i.organization_id and w.id = i.workspace_id`

/** Read as the platform: the template may be hidden by now. */
export const findInstallation = async (tx: Queryable, organizationId: string, id: string) => {
  const [found] = await tx<StoredInstallation[]>`
    select ${INSTALLATION(tx)} where i.organization_id = ${organizationId} and i.id = ${id}`
  return found
}

export const listInstallations = (
  tx: Queryable,
  filter: {
    organizationId: string
    workspace: string | null
    template: string | null
    status: string | null
    hasUpdate: boolean
    after: string
    limit: number
  },
) => tx<StoredInstallation[]>`
  select * from (select ${INSTALLATION(tx)} where i.organization_id = ${filter.organizationId}) i
  where id > ${filter.after} and (${filter.workspace}::text is null or workspace_id = ${filter.workspace} or workspace = ${filter.workspace})
    and (${filter.template}::text is null or template_id = ${filter.template})
    and (${filter.status}::text is null or status = ${filter.status})
    and (not ${filter.hasUpdate} or (update_available is not null and status = 'active'))
  order by id limit ${filter.limit}`

export const insertInstallation = (
  tx: Queryable,
  {
    inputs,
    consentedCapabilities,
    installer,
    ...row
  }: {
    id: string
    organizationId: string
    workspaceId: string | null
    templateId: string
    versionId: string
    scenarioId: string | null
    inputs: Record<string, unknown>
    updatePolicy: string
    consentedCapabilities: readonly string[]
    consentedBy: string
    installer: Actor
    status: string
  },
) => tx`
  insert into installations ${tx({
    ...row,
    inputs: tx.json(inputs as never),
    consentedCapabilities: tx.json(consentedCapabilities as never),
    installer: tx.json(installer as never),
  })}`

export const setDecided = (
  tx: Queryable,
  row: {
    organizationId: string
    id: string
    status: string
    scenarioId: string | null
    by: string
  },
) => tx`
  update installations set status = ${row.status}, scenario_id = ${row.scenarioId}, decided_by = ${row.by}, version = version + 1,
    updated_at = now()
  where organization_id = ${row.organizationId} and id = ${row.id} and status = 'pending'`

export const setUpdatePolicy = (
  tx: Queryable,
  row: { organizationId: string; id: string; updatePolicy: string },
) => tx`
  update installations set update_policy = ${row.updatePolicy}, version = version + 1, updated_at = now()
  where organization_id = ${row.organizationId} and id = ${row.id}`

export const setRemoved = (tx: Queryable, organizationId: string, id: string) => tx`
  update installations set status = 'removed', version = version + 1, updated_at = now()
  where organization_id = ${organizationId} and id = ${id} and status <> 'removed'`

export const setVersion = (
  tx: Queryable,
  row: {
    organizationId: string
    id: string
    versionId: string
    inputs: Record<string, unknown>
    capabilities: readonly string[]
    /** Who agreed to the capabilities now; null where nobody had to. */
    by: string | null
    rowVersion: number
  },
) => tx`
  update installations set version_id = ${row.versionId}, inputs = ${tx.json(row.inputs as never)},
    consented_capabilities = ${tx.json(row.capabilities as never)}, consented_by = coalesce(${row.by}::text, consented_by),
    consented_at = case when ${row.by}::text is null then consented_at else now() end,
    version = version + 1, updated_at = now()
  where organization_id = ${row.organizationId} and id = ${row.id} and version = ${row.rowVersion} and status = 'active'`

export type Step = {
  step: number
  versionId: string
  definition: string
  inputs: Record<string, unknown>
  consentedCapabilities: string[]
}

/** The steps that can be gone back, the last first. */
export const listSteps = (tx: Queryable, installationId: string) => tx<Step[]>`
  select step, version_id, definition, inputs, consented_capabilities from installation_history
  where installation_id = ${installationId} order by step desc`

export const insertStep = (
  tx: Queryable,
  installationId: string,
  { inputs, consentedCapabilities, ...step }: Step,
) => tx`
  insert into installation_history ${tx({
    ...{ installationId, ...step },
    inputs: tx.json(inputs as never),
    consentedCapabilities: tx.json(consentedCapabilities as never),
  })}`

export const deleteStepsUpTo = (tx: Queryable, installationId: string, step: number) => tx`
  delete from installation_history where installation_id = ${installationId} and step <= ${step}`

export const deleteStepsFrom = (tx: Queryable, installationId: string, step: number) => tx`
  delete from installation_history where installation_id = ${installationId} and step >= ${step}`

/** What the organization's policy asks about. */
export const findPublished = async (tx: Queryable, versionId: string) => {
  const [found] = await tx<
    { isVerified: boolean; ageDays: number; changelog: string; version: string; status: string }[]
  >`
    select p.verified_at is not null as is_verified, v.changelog, v.version, v.status,
      coalesce(extract(epoch from now() - v.published_at) / 86400, 0)::float8 as age_days
    from template_versions v join templates t on t.id = v.template_id
    left join publishers p on p.organization_id = t.organization_id where v.id = ${versionId}`
  return found!
}

/** The content of the version an installation is of: what it was filled from. */
export const findBase = async (tx: Queryable, versionId: string) => {
  const [found] = await tx<{ definition: string; inputs: unknown[]; capabilities: string[] }[]>`
    select definition, inputs, capabilities from template_versions where id = ${versionId}`
  return found!
}

export const findPolicy = async (tx: Queryable, organizationId: string) => {
  const [found] = await tx<{ policy: Record<string, unknown> | null; version: number }[]>`
    select security -> 'installations' as policy, version from organizations where id = ${organizationId}`
  return found!
}

export const setPolicy = (tx: Queryable, organizationId: string, policy: object) => tx`
  update organizations set security = jsonb_set(security, '{installations}', ${tx.json(policy as never)}), version = version + 1,
    updated_at = now() where id = ${organizationId}`

/**
 * Marks an installation as quarantined, by somebody else than before, or by nobody; its scenario is denied as long as it is marked,
 * and then everything is as it was.
 * @returns false where it is not as it was seen
 */
export const setQuarantine = async (
  tx: Queryable,
  row: { id: string; before: string | null; by: string | null; reason: string | null },
) => {
  const [marked] = await tx`
    with marked as (
      update installations set quarantined_at = case when ${row.by}::text is not null then now() end,
        quarantine_reason = ${row.reason}, quarantined_by = ${row.by}, updated_at = now()
      where id = ${row.id} and quarantined_by is not distinct from ${row.before} returning organization_id, scenario_id),
    denied as (
      update resources r set suspended_because = ${row.reason}, updated_at = now() from marked m
      where r.organization_id = m.organization_id and r.type = 'scenario' and r.id = m.scenario_id)
    select 1 as marked from marked`
  return marked !== undefined
}

/** Installations of a template, some hundreds at a time. */
export const listOfTemplate = (
  tx: Queryable,
  range: { templateId: string; after: string; limit: number },
) => tx<
  {
    id: string
    organizationId: string
    workspaceId: string | null
    version: string
    versionId: string
    quarantinedBy: string | null
    onAdvisory: string | null
  }[]
>`
  select i.id, i.organization_id, i.workspace_id, v.version, i.version_id, i.quarantined_by, o.security -> 'installations' ->> 'onAdvisory' as on_advisory
  from installations i join template_versions v on v.id = i.version_id join organizations o on o.id = i.organization_id
  where i.template_id = ${range.templateId} and i.status = 'active' and i.id > ${range.after} order by i.id limit ${range.limit}`

/** Installations that a published version is newer than, and whose people were not told of it. */
export const listToNotice = (tx: Queryable, range: { after: string; limit: number }) => tx<
  {
    id: string
    organizationId: string
    templateId: string
    version: string
    newest: string
    newestId: string
    updatePolicy: StoredInstallation['updatePolicy']
  }[]
>`
  select i.id, i.organization_id, i.template_id, v.version, n.version as newest, n.id as newest_id, i.update_policy
  from installations i join templates t on t.id = i.template_id join template_versions v on v.id = i.version_id
  cross join lateral (
    select n.id, n.version, n.integrity from template_versions n
    where n.template_id = i.template_id and n.status = 'published' and n.prerelease is null
      and (n.approved_integrity is not null or t.organization_id = i.organization_id)
      and (n.major, n.minor, n.patch) > (v.major, v.minor, v.patch)
    order by n.major desc, n.minor desc, n.patch desc limit 1) n
  where i.status = 'active' and i.update_policy <> 'pin' and i.id > ${range.after} and n.integrity <> v.integrity
    and i.noticed_version_id is distinct from n.id
  order by i.id limit ${range.limit}`

export const setNoticed = (tx: Queryable, id: string, versionId: string) => tx`
  update installations set noticed_version_id = ${versionId} where id = ${id}`

const ADVISORY = (tx: Queryable) => tx`
  id, template_id as template, affected_range, severity, summary, fixed_in, published_at, withdrawn_at`

export const insertAdvisory = (
  tx: Queryable,
  row: {
    id: string
    templateId: string
    affectedRange: string
    severity: string
    summary: string
    fixedIn: string | null
    publishedBy: string
  },
) => tx`insert into advisories ${tx(row)}`

export const findAdvisory = async (tx: Queryable, id: string) => {
  const [found] = await tx<Advisory[]>`select ${ADVISORY(tx)} from advisories where id = ${id}`
  return found
}

export const listAdvisories = (
  tx: Queryable,
  range: { template: string; after: string; limit: number },
) => tx<Advisory[]>`
  select ${ADVISORY(tx)} from advisories where template_id = ${range.template} and id > ${range.after} order by id limit ${range.limit}`

/** Those of a template that count. */
export const listInForce = (tx: Queryable, template: string) => tx<Advisory[]>`
  select ${ADVISORY(tx)} from advisories where template_id = ${template} and withdrawn_at is null order by id`

export const withdrawAdvisory = (tx: Queryable, id: string) => tx`
  update advisories set withdrawn_at = now() where id = ${id}`

export const isOwnTemplate = async (tx: Queryable, organizationId: string, id: string) => {
  const [found] = await tx`
    select 1 from templates where id = ${id} and organization_id = ${organizationId}`
  return found !== undefined
}
