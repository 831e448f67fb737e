import type { Transaction } from '../platform/db/connect.ts'
import { Problem } from '../platform/problem.ts'
import { canonicalOf, type Definition, definitionOf } from '../scenarios/service.ts'
import { isKnownLicense, misfitOf } from './license.ts'
import { FOLDED_CHARACTERS_MAX, findLookAlike } from './look-alike.ts'
import { faultsOfMarkdown } from './markdown.ts'
import { failingScenarios } from './pack-scenarios.ts'
import * as repository from './repository.ts'
import { readRolePack, requireRolePack } from './role-pack.ts'
import type { Check } from './schema.ts'
import { findSecrets, holdsSecret, placesIn, pointerTo } from './secrets.ts'
import { shortStepOf } from './step.ts'
import * as versions from './version-repository.ts'

/** What the checks look at. */
export type Checked = {
  organizationId: string
  template: Pick<
    repository.StoredTemplate,
    'id' | 'kind' | 'name' | 'summary' | 'description' | 'license' | 'installCount'
  >
  version: Pick<versions.StoredVersion, 'version' | 'capabilities' | 'inputs' | 'changelog'>
  /** Canonical JSON. */
  canonical: string
}

type Found = Omit<Check, 'name'>
type Look = (tx: Transaction, checked: Checked) => Promise<Found[]>

const failed = (detail: string, pointer: string | null): Found => ({
  result: 'failed',
  detail,
  pointer,
})
const warned = (detail: string, pointer: string | null): Found => ({
  result: 'warning',
  detail,
  pointer,
})

/** What a thrown problem says, as a finding. */
const findingOf = (error: unknown): Found[] => {
  if (!(error instanceof Problem)) throw error
  const [first] = error.extras.errors ?? []
  return [failed(first?.detail ?? error.detail, first?.pointer ?? null)]
}

const checkShape: Look = async (_tx, { canonical }) => {
  try {
    const isCanonical = canonicalOf(definitionOf(canonical)) === canonical
    return isCanonical ? [] : [failed('is not in its canonical form', '/definition')]
  } catch (error) {
    return findingOf(error)
  }
}

/** In the definition and in every text that is shown with it. */
const checkSecrets: Look = async (_tx, { template, version, canonical }) => {
  try {
    const { name, summary, description } = template
    const texts = { name, summary, description, changelog: version.changelog }
    const places = placesIn({ ...texts, definition: definitionOf(canonical) as Definition })
    const found = (await findSecrets(places)).map(({ path }) =>
      failed('looks like a secret', pointerTo(path)),
    )
    if (found.length === 0 && (await holdsSecret(canonical)))
      found.push(failed('holds what looks like a secret', '/definition'))
    return found
  } catch (error) {
    // What could not be looked for has not been seen: others get nothing unseen.
    return findingOf(error)
  }
}

const checkHosts: Look = async (_tx, { version }) =>
  version.capabilities.includes('host:*')
    ? [warned('calls addresses that are only known when it runs', '/definition')]
    : []

const checkLookAlike: Look = async (tx, { organizationId, template: { name, installCount } }) => {
  const others = await repository.findNamesOfOthers(tx, {
    organizationId,
    installs: installCount,
    charactersMin: name.length - FOLDED_CHARACTERS_MAX,
    charactersMax: name.length + FOLDED_CHARACTERS_MAX,
  })
  const other = findLookAlike(
    name,
    others.map((each) => each.name),
  )
  return other === undefined
    ? []
    : [failed(`can be taken for “${other}” of another publisher`, '/name')]
}

const checkLicense: Look = async (tx, { template: { id, license } }) => {
  const found: Found[] = []
  if (!isKnownLicense(license)) found.push(warned('is no license that SPDX knows', '/license'))
  const original = await repository.findDerivedLicense(tx, id)
  const misfit = original && misfitOf(license, original.license)
  if (misfit !== undefined) found.push(warned(misfit, '/license'))
  return found
}

const checkMarkdown: Look = async (_tx, { template: { description }, version: { changelog } }) =>
  Object.entries({ description, changelog }).flatMap(([member, text]) =>
    faultsOfMarkdown(text).map(({ detail, isFatal }) =>
      (isFatal ? failed : warned)(detail, `/${member}`),
    ),
  )

const checkStep: Look = async (tx, { template, version }) => {
  const released = await versions.listReleased(tx, template.id)
  const short = shortStepOf(version.version, version, released)
  return short
    ? [failed(`needs a ${short.proposedStep} step from ${short.before}`, '/version')]
    : []
}

const checkRolePack: Look = async (tx, { organizationId, template: { kind }, canonical }) => {
  if (kind !== 'role_pack') return [{ result: 'skipped', detail: 'is no role pack', pointer: null }]
  try {
    const pack = readRolePack(definitionOf(canonical))
    await requireRolePack(tx, organizationId, pack)
    return (await failingScenarios(tx, organizationId, pack)).map((index) =>
      failed('does not come out as it says', `/definition/scenarios/${index}`),
    )
  } catch (error) {
    return findingOf(error)
  }
}

/** By the names under which the answers tell of them: what is looked at in the words of a template, and in a version too. */
const WORDS: Record<string, Look> = {
  secrets: checkSecrets,
  'look-alike': checkLookAlike,
  license: checkLicense,
  markdown: checkMarkdown,
}
const LOOKS: Record<string, Look> = {
  shape: checkShape,
  ...WORDS,
  hosts: checkHosts,
  step: checkStep,
  'role-pack': checkRolePack,
}

/** Findings of one kind that are told. */
const FINDINGS_MAX = 20

const run = async (tx: Transaction, looks: Record<string, Look>, checked: Checked) => {
  const checks: Check[] = []
  for (const [name, look] of Object.entries(looks)) {
    const found = await look(tx, checked)
    if (found.length === 0) checks.push({ name, result: 'passed', detail: '', pointer: null })
    else checks.push(...found.slice(0, FINDINGS_MAX).map((finding) => ({ name, ...finding })))
  }
  return checks
}

/** Everything that is looked at before others may have a version; what finds nothing has passed. */
export const runChecks = (tx: Transaction, checked: Checked): Promise<Check[]> =>
  run(tx, LOOKS, checked)

/** The same for words alone, which are edited while the versions stay. */
export const runWordChecks = (
  tx: Transaction,
  words: Pick<Checked, 'organizationId' | 'template'>,
): Promise<Check[]> => {
  const version = { version: '', capabilities: [], inputs: [], changelog: '' }
  return run(tx, WORDS, { ...words, version, canonical: '{}' })
}

/** @throws Problem 422 with all of them where one failed */
export const refuseFailed = (checks: readonly Check[]): void => {
  const failures = checks.filter(({ result }) => result === 'failed')
  if (failures.length === 0) return
  throw new Problem('unprocessable', 'checks-failed', 'Not all checks are passed.', {
    checks,
    errors: failures.map(({ detail, pointer }) => ({ pointer: pointer ?? '', detail })),
  })
}
