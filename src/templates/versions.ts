import semver from 'semver'
import { unprocessable } from '../platform/problem.ts'

/** The parts of a version, as they stand in their columns (Semantic Versioning 2.0.0, without build metadata). */
export type VersionParts = {
  major: number
  minor: number
  patch: number
  prerelease: string | null
}

const PART_MAX = 2_147_483_647

/** @throws Problem 422 where it is no strict semantic version */
export const partsOf = (version: string, pointer = '/version'): VersionParts => {
  const parsed = /^[0-9A-Za-z.-]{5,128}$/.test(version) ? semver.parse(version) : null
  if (
    !parsed ||
    parsed.version !== version ||
    Math.max(parsed.major, parsed.minor, parsed.patch) > PART_MAX
  )
    throw unprocessable(
      'version-malformed',
      pointer,
      'must be a version like 1.2.3 or 1.2.3-beta.1',
    )
  const { major, minor, patch, prerelease } = parsed
  return { major, minor, patch, prerelease: prerelease.length > 0 ? prerelease.join('.') : null }
}

/** The newest first, by precedence. */
export const newestFirst = (one: string, other: string): number => semver.rcompare(one, other)

/** Whether a version lies in a range; a prerelease only where the range names one of the same number. */
export const isIn = (version: string, range: string): boolean => semver.satisfies(version, range)

/** Whether a text is a range. */
export const isRange = (text: string): boolean =>
  text.length <= 128 && text.trim() !== '' && semver.validRange(text) !== null

/**
 * The version that `wanted` names among these: an exact one, the highest in a range, or `latest`, the highest that is no
 * prerelease (where all are, the highest).
 */
export const resolve = (versions: readonly string[], wanted: string): string | undefined => {
  if (versions.includes(wanted)) return wanted
  if (wanted === 'latest')
    return semver.maxSatisfying(versions, '*') ?? versions.toSorted(newestFirst)[0]
  return isRange(wanted) ? (semver.maxSatisfying(versions, wanted) ?? undefined) : undefined
}

/** How far apart two versions are: what an update policy goes by. */
export const stepBetween = (from: string, to: string): 'patch' | 'minor' | 'major' | 'none' => {
  const step = semver.diff(from, to)
  if (step === null) return 'none'
  if (step === 'patch' || step === 'minor') return step
  return 'major'
}
