import ids from 'spdx-license-ids/index.json' with { type: 'json' }
import { didYouMean } from '../platform/nearest.ts'
import { unprocessable } from '../platform/problem.ts'

const KNOWN: ReadonlySet<string> = new Set(ids)
/** A license that is not on the list of SPDX, under a name of one's own (SPDX 2.3, §10.1). */
const OWN = /^LicenseRef-[A-Za-z0-9.-]{1,50}$/

/** Whether SPDX knows a license. */
export const isKnownLicense = (license: string): boolean => KNOWN.has(license)

/** @throws Problem 422 for what is neither an id of SPDX nor a name of one's own */
export const requireLicense = (license: string): void => {
  if (isKnownLicense(license) || OWN.test(license)) return
  throw unprocessable(
    'license-unknown',
    '/license',
    `must be an id of SPDX, as MIT, or LicenseRef- with a name of one's own.${didYouMean(license, KNOWN)}`,
  )
}

/** What must be under the same license when it is passed on changed. */
const SHARED_ALIKE = /^(?:[AL]?GPL|MPL|EPL|EUPL|OSL|CDDL|CC-BY(?:-NC)?-SA)-/
const NO_DERIVATIVES = /^CC-BY(?:-NC)?-ND-/
const NOT_FOR_MONEY = /^CC-BY-NC/

/** The family of a license: `GPL-3.0-or-later` and `GPL-2.0-only` are one. */
const familyOf = (license: string) => license.replace(/-?\d.*$/, '')

/**
 * Why a template under one license may not fit what it was made of; undefined where nothing speaks against it. A hint for
 * people: it knows families of licenses, not law.
 */
export const misfitOf = (license: string, original: string): string | undefined => {
  if (license === original) return undefined
  if (NO_DERIVATIVES.test(original)) return `${original} lets nothing changed be passed on.`
  if (SHARED_ALIKE.test(original) && familyOf(license) !== familyOf(original))
    return `${original} asks that what is made of it stays under it; ${license} is another license.`
  if (NOT_FOR_MONEY.test(original) && !NOT_FOR_MONEY.test(license))
    return `${original} forbids commercial use, and ${license} allows it.`
  if (!isKnownLicense(original)) return `What ${original} allows is not known.`
  return undefined
}
