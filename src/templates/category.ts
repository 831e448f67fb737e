import type { Transaction } from '../platform/db/connect.ts'
import { didYouMean } from '../platform/nearest.ts'
import { unprocessable } from '../platform/problem.ts'
import * as repository from './repository.ts'

/** @throws Problem 422 with the nearest ones where there is no such category */
export const requireCategory = async (tx: Transaction, category: string): Promise<void> => {
  const known = await repository.listCategories(tx)
  if (!known.includes(category))
    throw unprocessable(
      'category-unknown',
      '/category',
      `is no category.${didYouMean(category, known)}`,
    )
}
