import { recordChange } from '../audit/service.ts'
import type { Context } from '../platform/context.ts'
import type { Transaction } from '../platform/db/connect.ts'
import { changePlatform } from '../platform/db/transaction.ts'
import { Problem, unprocessable } from '../platform/problem.ts'
import * as repository from './repository.ts'
import type { Category, PutCategory } from './schema.ts'

/** Makes or edits a category. A tree: nothing stands below itself. */
export const putCategory = (
  context: Context,
  { category: slug, name, parent }: { category: string } & PutCategory,
): Promise<Category> =>
  changePlatform(context, async (tx) => {
    const before = await repository.findCategory(tx, slug)
    const above = parent === undefined ? (before?.parent ?? null) : parent
    if (above !== null) await refuseLoop(tx, slug, above)
    const after = await repository.upsertCategory(tx, { slug, name, parent: above })
    await recordChange(tx, context, {
      event: before ? 'category.updated' : 'category.created',
      resource: `category:${slug}`,
      before,
      after,
    })
    return after
  })

const refuseLoop = async (tx: Transaction, slug: string, parent: string) => {
  const above = await repository.listAncestors(tx, parent)
  if (above.length === 0)
    throw unprocessable('category-unknown', '/parent', 'There is no such category.')
  if (above.some((each) => each.slug === slug))
    throw unprocessable('category-loop', '/parent', 'stands below the category itself')
}

/** Ends a category; what was in it goes to another. */
export const deleteCategory = (
  context: Context,
  { category: slug, replacement }: { category: string; replacement: string },
) =>
  changePlatform(context, async (tx) => {
    const before = await repository.findCategory(tx, slug)
    if (!before) throw new Problem('not-found', 'category-not-found', 'There is no such category.')
    if (replacement === slug || !(await repository.findCategory(tx, replacement)))
      throw unprocessable('category-unknown', '/replacement', 'must be another category')
    await refuseLoopOf(tx, slug, replacement)
    await repository.moveTemplates(tx, slug, replacement)
    await repository.moveCategories(tx, slug, replacement)
    await repository.deleteCategory(tx, slug)
    await recordChange(tx, context, {
      event: 'category.deleted',
      resource: `category:${slug}`,
      before,
      after: { replacement },
    })
  })

/** What stands below would stand below itself. */
const refuseLoopOf = async (tx: Transaction, slug: string, replacement: string) => {
  const above = await repository.listAncestors(tx, replacement)
  if (above.some((each) => each.slug === slug))
    throw unprocessable('category-loop', '/replacement', 'must not stand below the category')
}
