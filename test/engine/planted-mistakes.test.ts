import { expect, test } from 'vitest'
import { runAgreement } from './agreement.ts'
import { type Mistake, withPlanted } from './planted-engine.ts'

// Whether the comparison with Casbin would notice: copies of the engine with one planted mistake each.

const MISTAKES: { readonly [what: string]: Mistake } = {
  'looks one link too few': {
    file: 'closure.ts',
    text: 'if (depth === LINK_BUDGET) break',
    planted: 'if (depth === LINK_BUDGET - 1) break',
  },
  'looks one link too far': {
    file: 'closure.ts',
    text: 'if (depth === LINK_BUDGET) break',
    planted: 'if (depth === LINK_BUDGET + 1) break',
  },
  'ignores a deny on a type': {
    file: 'compiled-index.ts',
    text: "if (deny) return createOutcome('denied', view, deny, null, instance)",
    planted: '',
  },
  'ignores a deny on a resource': {
    file: 'compiled-index.ts',
    text: 'if (deny) return narrowOutcome(asked, deny, weighing.denyKey, instance)',
    planted: '',
  },
  'takes a prefix for an id': {
    file: 'narrow.ts',
    text: 'id.startsWith(idAt(packed, at))',
    planted: 'id === idAt(packed, at)',
  },
  'keeps views after an edit': {
    file: 'compiled-index.ts',
    text: 'if (policy.version !== policy.store.version) forgetViews(policy)',
    planted: '',
  },
  'forgets only the views of a changed role itself': {
    file: 'line-store.ts',
    text: 'subjects.some((subject) => !canAsk(subject) || store.heldOddly.has(subject))',
    planted: 'subjects.length === 0',
  },
  'keeps the old platform': {
    file: 'engine.ts',
    text: 'organizationPolicy(indexOrganization(opened(platform), opened(policy).store))',
    planted: '(platform, policy)',
  },
  'passes over a deny whose condition fails': {
    file: 'compiled-index.ts',
    text: "findHolding(denyIf, 'deny', environment)",
    planted: "findHolding(denyIf, 'allow', environment)",
  },
  'allows when a condition fails': {
    file: 'compiled-index.ts',
    text: "findHolding(allowIf, 'allow', environment)",
    planted: "findHolding(allowIf, 'deny', environment)",
  },
  'ignores expiry': {
    file: 'packed-lines.ts',
    text: '(headAt(lines, at) & EXPIRY) === 0 ? Infinity : (lines[nextLine(lines, at) - 1] as number)',
    planted: 'Infinity',
  },
  'keeps views beyond an expiry': {
    file: 'closure.ts',
    text: 'if (expiryMs < span.untilMs) span.untilMs = expiryMs',
    planted: '',
  },
  'keeps views for a time before': {
    file: 'closure.ts',
    text: 'if (expiryMs > span.fromMs) span.fromMs = expiryMs',
    planted: '',
  },
  'lets one resource stand for its type': {
    file: 'closure.ts',
    text: `const end = narrowStart(packed)
  for (let at = BROAD_START; at < end; at = nextLine(packed, at)) {
    if (isRoleLine`,
    planted: `const end = packed.length
  for (let at = BROAD_START; at < end; at = nextLine(packed, at)) {
    if (isRoleLine`,
  },
  'lets what is for the organization alone into its workspaces': {
    file: 'packed-lines.ts',
    text: 'return place === AT_ORGANIZATION && (head & ROLE) === 0',
    planted: 'return (head & ROLE) === 0',
  },
  'lets a role on a resource into every workspace': {
    file: 'packed-lines.ts',
    text: 'lines[at + 2] === type && exactPlaceHolds(lines, at, place)',
    planted: 'lines[at + 2] === type',
  },
  'looks for roles on the resource only once': {
    file: 'compiled-index.ts',
    text: 'if (links === null || links.length === extended.links.length) return extended',
    planted: 'if (links === null || extended.links.length > 0) return extended',
  },
  'shares roles that an organization adds to': {
    file: 'view.ts',
    text: 'for (const member of members) if (own.has(member)) return false',
    planted: '',
  },
  'lets roles ask': {
    file: 'compiled-index.ts',
    text: 'if (!canAsk(subject)) return undefined',
    planted: '',
  },
}

/** Within how many policies each must be noticed; most are within ten. */
const POLICIES_MAX = 500

test.each(Object.entries(MISTAKES))('would notice an engine that %s', async (what, mistake) => {
  const { failedAfter, message } = await withPlanted([mistake], ({ createEngine }) =>
    runAgreement(createEngine, { policies: POLICIES_MAX, seed: 20_261_121, shrinks: false }),
  )
  process.stdout.write(`${what}: noticed after ${failedAfter} policies\n`)
  expect(failedAfter, message).not.toBeNull()
  expect(message).toMatch(/Casbin|cause|chain|role by|grant by/)
})
