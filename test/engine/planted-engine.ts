import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import type * as engineModule from '../../src/engine/engine.ts'

/** A mistake to plant: a text of one file of the engine, and what takes its place. */
export type Mistake = { readonly file: string; readonly text: string; readonly planted: string }

const packagesFolder = fileURLToPath(new URL('../../node_modules', import.meta.url))
const engineFolder = fileURLToPath(new URL('../../src/engine', import.meta.url))

/**
 * Runs `use` with a copy of the engine that has these mistakes. The copy stands in a temporary folder, with
 * the packages linked beside it. Throws an Error if the text does not stand in the file exactly once.
 */
export const withPlanted = async <Result>(
  mistakes: readonly Mistake[],
  use: (engine: typeof engineModule) => Promise<Result>,
): Promise<Result> => {
  const folder = mkdtempSync(join(tmpdir(), 'latchkey-planted-'))
  try {
    symlinkSync(packagesFolder, join(folder, 'node_modules'))
    cpSync(engineFolder, folder, { recursive: true })
    for (const { file, text, planted } of mistakes) {
      const source = readFileSync(join(folder, file), 'utf8')
      const parts = source.split(text)
      if (parts.length !== 2)
        throw new Error(`${file} holds the text ${parts.length - 1} times: ${text}`)
      writeFileSync(join(folder, file), parts.join(planted))
    }
    const { href } = pathToFileURL(join(folder, 'engine.ts'))
    return await use(await import(/* @vite-ignore */ href))
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
