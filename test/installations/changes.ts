import type { PreparedMarket } from '../support/market.ts'
import type { PreparedTemplates } from '../templates/changes.ts'

type Given = { path: string; market: PreparedMarket; templates: PreparedTemplates }
type Sample = (given: Given) => [what: string, body?: unknown]

const ORGANIZATION = '/v1/organizations/:organization'
const INSTALLATIONS = `${ORGANIZATION}/installations`
const ADVISORIES = `${ORGANIZATION}/templates/:template/advisories`

/** One request that changes something, per route of installations. */
export const INSTALLATION_CHANGES: Record<string, Sample> = {
  [`PUT ${ORGANIZATION}/installation-policy`]: ({ path }) => [
    `PUT ${path}/installation-policy`,
    { capabilitiesDenied: ['host:*'] },
  ],
  [`POST ${INSTALLATIONS}`]: ({ path, market }) => [
    `POST ${path}/installations`,
    { template: market.free, workspace: 'lab' },
  ],
  [`PATCH ${INSTALLATIONS}/:installation`]: ({ path, market: { active } }) => [
    `PATCH ${path}/installations/${active[0]}`,
    { updatePolicy: 'minor' },
  ],
  [`POST ${INSTALLATIONS}/:installation/update`]: ({ path, market: { active } }) => [
    `POST ${path}/installations/${active[0]}/update`,
    {},
  ],
  [`POST ${INSTALLATIONS}/:installation/rollback`]: ({ path, market: { active } }) => [
    `POST ${path}/installations/${active[1]}/rollback`,
    {},
  ],
  [`POST ${INSTALLATIONS}/:installation/release`]: ({ path, market: { active } }) => [
    `POST ${path}/installations/${active[2]}/release`,
    { reason: 'looked at' },
  ],
  [`DELETE ${INSTALLATIONS}/:installation`]: ({ path, market: { active } }) => [
    `DELETE ${path}/installations/${active[3]}`,
  ],
  [`POST ${INSTALLATIONS}/:installation/approve`]: ({ path, market: { pending } }) => [
    `POST ${path}/installations/${pending[0]}/approve`,
  ],
  [`POST ${INSTALLATIONS}/:installation/refuse`]: ({ path, market: { pending } }) => [
    `POST ${path}/installations/${pending[1]}/refuse`,
  ],
  [`POST ${ADVISORIES}`]: ({ path, templates }) => [
    `POST ${path}/templates/${templates.listed}/advisories`,
    { affectedRange: '<1.0.0', severity: 'low', summary: 'It tells too much.' },
  ],
  [`POST ${ADVISORIES}/:advisory/withdraw`]: ({ path, templates }) => [
    `POST ${path}/templates/${templates.listed}/advisories/${advisoryOf(templates)}/withdraw`,
  ],
}

/** The id of an advisory that `prepareTemplates` left on the listed template. */
const advisoryOf = ({ listed }: PreparedTemplates) => `adv_${listed.slice(4)}`
