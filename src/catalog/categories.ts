import type { Context } from '../platform/context.ts'
import { inPlatform } from '../platform/db/transaction.ts'
import { kept } from './kept.ts'
import * as repository from './repository.ts'
import type { Category } from './schema.ts'

/** All categories as a tree, each with the listed templates in it and in all below it: counted from the rows. */
export const getCategories = (context: Context): Promise<{ items: Category[] }> =>
  kept(context, ['categories'], async () => ({ items: await readTree(context) }))

const readTree = async ({ sql }: Context): Promise<Category[]> => {
  const rows = await inPlatform(sql, (tx) => repository.listCategories(tx))
  const below = (parent: string | null): Category[] =>
    rows
      .filter((row) => row.parent === parent)
      .map(({ parent: _, ...row }) => {
        const children = below(row.slug)
        const count = children.reduce((sum, child) => sum + child.count, row.count)
        return { ...row, count, children }
      })
  return below(null)
}
