import { recordChange } from '../audit/service.ts'
import type { Context } from '../platform/context.ts'
import type { Queryable } from '../platform/db/connect.ts'
import { changeOrganization, inOrganization } from '../platform/db/transaction.ts'
import { newId } from '../platform/id.ts'
import { Problem } from '../platform/problem.ts'
import { refuseStale } from '../platform/version.ts'
import * as repository from './repository.ts'
import type { Price, Prices, PutPrices } from './schema.ts'

type OneTemplate = { template: string }

/** What one of the organization's own templates costs. */
export const getPrices = (context: Context, { template }: OneTemplate): Promise<Prices> =>
  inOrganization(context, async (tx, organizationId) => {
    await requireOwn(tx, organizationId, template)
    return pricesOf(tx, template)
  })

/**
 * Sets all prices of one of the organization's own templates; none makes it free. An order keeps the price it was made at, and
 * what was bought stays bought.
 */
export const putPrices = (
  context: Context,
  { template, prices }: OneTemplate & PutPrices,
): Promise<Prices> =>
  changeOrganization(context, async (tx, organizationId) => {
    const { version } = await requireOwn(tx, organizationId, template)
    refuseStale(context, version)
    const before = await repository.listPrices(tx, template)
    const isKept = (price: Price, others: readonly Price[]) =>
      others.some((each) => isSame(each, price))
    const retired = before.filter((price) => !isKept(price, prices)).map(({ id }) => id)
    const added = prices.filter((price) => !isKept(price, before))
    await repository.retirePrices(tx, template, retired)
    for (const price of added)
      await repository.insertPrice(tx, { id: newId('prc'), templateId: template, ...price })
    await repository.setPricing(tx, template, prices.length > 0 ? 'paid' : 'free')
    const after = await pricesOf(tx, template)
    await recordChange(tx, context, {
      event: 'template.priced',
      resource: `template:${template}`,
      before: before.map(({ id: _, ...price }) => price),
      after,
    })
    return after
  })

const isSame = (one: Price, other: Price) =>
  one.currency === other.currency && one.amountMinor === other.amountMinor

const requireOwn = async (tx: Queryable, organizationId: string, id: string) => {
  const template = await repository.findOwnTemplate(tx, organizationId, id)
  if (!template) throw new Problem('not-found', 'template-not-found', 'There is no such template.')
  return template
}

const pricesOf = async (tx: Queryable, templateId: string): Promise<Prices> => {
  const prices = await repository.listPrices(tx, templateId)
  return {
    pricing: prices.length > 0 ? 'paid' : 'free',
    prices: prices.map(({ currency, amountMinor }) => ({ currency, amountMinor })),
  }
}
