import type { Context } from '../platform/context.ts'
import { inPlatform } from '../platform/db/transaction.ts'
import { Problem, unprocessable } from '../platform/problem.ts'
import * as analytics from './analytics-repository.ts'
import * as repository from './repository.ts'
import type { Analytics, AnalyticsPoint, AskAnalytics } from './schema.ts'

const DAY_MS = 24 * 60 * 60 * 1000
/** Days that are shown where none are named, and at most. */
const [DAYS, DAYS_MAX] = [30, 400]

const dayOf = (ms: number) => new Date(ms).toISOString().slice(0, 10)

/** A bucket in which only money came. */
const NOTHING: Omit<AnalyticsPoint, 'at' | 'revenue'> = {
  ...{ views: 0, downloads: 0, installs: 0, updates: 0, removals: 0 },
  ...{ ratings: 0, averageStars: null },
}

/**
 * How an organization's templates are used, over time: organizations a day, not hits; what was paid per currency, less what was given
 * back. Days are those of UTC.
 * @param template one of its templates; left out, all of them
 */
export const getAnalytics = (
  context: Context,
  { template, bucket, ...asked }: AskAnalytics & { template?: string },
): Promise<Analytics> => {
  const to = asked.to ?? dayOf(context.now().getTime())
  const from = asked.from ?? dayOf(Date.parse(to) - (DAYS - 1) * DAY_MS)
  const days = (Date.parse(to) - Date.parse(from)) / DAY_MS + 1
  if (days < 1) throw unprocessable('range-backwards', '/to', 'must not be before `from`')
  if (days > DAYS_MAX)
    throw unprocessable('range-too-long', '/from', `must be within ${DAYS_MAX} days`)
  return inPlatform(context.sql, async (tx) => {
    const { organizationId } = context
    if (template !== undefined && !(await repository.isOwnTemplate(tx, organizationId, template)))
      throw new Problem('not-found', 'template-not-found', 'There is no such template.')
    const range = { organizationId, template: template ?? null, from, to, bucket }
    const use = new Map((await analytics.listUse(tx, range)).map((point) => [point.at, point]))
    const revenue = Map.groupBy(await analytics.listRevenue(tx, range), ({ at }) => at)
    const buckets = [...new Set([...use.keys(), ...revenue.keys()])].sort()
    const points = buckets.map((at) => ({
      ...NOTHING,
      ...use.get(at),
      at,
      revenue: (revenue.get(at) ?? []).map(({ at: _, ...paid }) => paid),
    }))
    return { from, to, bucket, points }
  })
}
