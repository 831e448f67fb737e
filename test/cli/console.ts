import { stripVTControlCharacters } from 'node:util'
import { vi } from 'vitest'
import { run } from '../../src/cli/run.ts'

/** What a command line wrote, without colors, and how it ended. */
export type Ran = { code: number; out: string; err: string }

/** Runs a command line in this process, with these settings only; standard output and error are captured. */
export const runLine = async (
  args: readonly string[],
  settings: Record<string, string> = {},
): Promise<Ran> => {
  const written = { out: '', err: '' }
  const capture = (stream: 'stdout' | 'stderr', to: 'out' | 'err') =>
    vi.spyOn(process[stream], 'write').mockImplementation((text) => {
      written[to] += String(text)
      return true
    })
  const spies = [capture('stdout', 'out'), capture('stderr', 'err')]
  const before = { ...process.env }
  for (const name of ['LATCHKEY_URL', 'LATCHKEY_KEY', 'DATABASE_URL', 'DATA_DIR'])
    delete process.env[name]
  Object.assign(process.env, settings)
  process.exitCode = undefined
  try {
    const code = await run(args)
    return {
      code,
      out: stripVTControlCharacters(written.out),
      err: stripVTControlCharacters(written.err),
    }
  } finally {
    process.exitCode = undefined
    process.env = before
    for (const spy of spies) spy.mockRestore()
  }
}
