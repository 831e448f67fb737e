import semver from 'semver'
import { unprocessable } from '../platform/problem.ts'
import type { Input } from './fill.ts'
import { type Capabilities, differenceOf } from './manifest.ts'

export type Step = 'patch' | 'minor' | 'major'
const ORDER: readonly Step[] = ['patch', 'minor', 'major']

/** What installers of a version were promised. */
export type Promised = { capabilities: Capabilities; inputs: readonly Input[] }

/**
 * The least step from one version to the next: `major` where an input is gone, renamed or of another type, because what
 * somebody filled in fits no more; `minor` where it does more or asks for more; else `patch`.
 */
export const leastStep = (before: Promised, after: Promised): Step => {
  const types = new Map(after.inputs.map(({ name, type }) => [name, type]))
  const known = new Set(before.inputs.map(({ name }) => name))
  if (before.inputs.some(({ name, type }) => types.get(name) !== type)) return 'major'
  const { added } = differenceOf(before.capabilities, after.capabilities)
  return added.length > 0 || after.inputs.some(({ name }) => !known.has(name)) ? 'minor' : 'patch'
}

/** How far a version stands from another, whatever prerelease of it is meant. */
const stepOf = (from: string, to: string): Step => {
  const [a, b] = [semver.parse(from)!, semver.parse(to)!]
  if (a.major !== b.major) return 'major'
  return a.minor === b.minor ? 'patch' : 'minor'
}

/**
 * What a version lacks to be far enough from the one before it; undefined where it is. The one before is the highest released
 * version below it, prereleases aside.
 */
export const shortStepOf = (
  version: string,
  next: Promised,
  released: readonly (Promised & { version: string })[],
): { proposedStep: Step; before: string; proposed: string } | undefined => {
  const [before] = released
    .filter((each) => semver.lt(each.version, version))
    .sort((a, b) => semver.rcompare(a.version, b.version))
  if (!before) return undefined
  const proposedStep = leastStep(before, next)
  if (ORDER.indexOf(stepOf(before.version, version)) >= ORDER.indexOf(proposedStep))
    return undefined
  const proposed = semver.inc(before.version, proposedStep)!
  return { proposedStep, before: before.version, proposed }
}

/** @throws Problem 422 with the step that is needed */
export const requireStep = (
  version: string,
  next: Promised,
  released: readonly (Promised & { version: string })[],
): void => {
  const short = shortStepOf(version, next, released)
  if (!short) return
  const problem = unprocessable(
    'version-step-too-small',
    '/version',
    `What changed since ${short.before} needs a ${short.proposedStep} step: ${short.proposed} or more.`,
  )
  Object.assign(problem.extras, { proposedStep: short.proposedStep, proposed: short.proposed })
  throw problem
}
