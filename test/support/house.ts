import { globSync, readFileSync } from 'node:fs'
import { posix } from 'node:path'

/** One source file, its path from the root of the repository. */
export type Source = { path: string; text: string }
/** One import: from a file to a file of ours, or to a package by its name; and the statement. */
export type Arrow = { from: string; to: string; text: string }
/** What the rules of the architecture are asked about. */
export type House = { sources: Source[]; arrows: Arrow[] }

/** Reads every TypeScript file of src. */
export const readHouse = (root: string): House =>
  houseOf(
    globSync('src/**/*.{ts,tsx}', { cwd: root })
      .sort()
      .map((path) => ({ path, text: readFileSync(posix.join(root, path), 'utf8') })),
  )

/** Strips the comments, so that prose breaks no rule, and finds the imports. */
export const houseOf = (files: Source[]): House => {
  const sources = files.map(({ path, text }) => ({ path, text: withoutComments(text) }))
  return { sources, arrows: sources.flatMap(arrowsOf) }
}

const IMPORTS = [
  /\b(?:import|export)\s[\w$\s{},*]*?\bfrom\s*['"]([^'"]+)['"]/g,
  /\bimport\s*['"]([^'"]+)['"]/g,
  /\b(?:import|require)\(\s*['"`]([^'"`]+)['"`]/g,
]

const arrowsOf = ({ path, text }: Source): Arrow[] =>
  IMPORTS.flatMap((pattern) =>
    [...text.matchAll(pattern)].map(([statement, to = '']) => ({
      from: path,
      to: to.startsWith('.') ? posix.join(posix.dirname(path), to) : to,
      text: statement,
    })),
  )

// Strings come first: what looks like a comment inside one is none.
const STRINGS_AND_COMMENTS =
  /'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`|\/\*[\s\S]*?\*\/|(?<![:\\])\/\/[^\n]*/g

const withoutComments = (text: string) =>
  text.replace(STRINGS_AND_COMMENTS, (found) =>
    found.startsWith('/') ? found.replace(/[^\n]/g, '') : found,
  )

/** Every file that can be reached from these by imports that stay at run time. */
export const reachedFrom = ({ arrows }: House, starts: string[]): Set<string> => {
  const reached = new Set(starts)
  // A set visits what is added while it is walked.
  for (const file of reached)
    for (const { from, to, text } of arrows)
      if (from === file && !/^(?:import|export)\s+type\b/.test(text)) reached.add(to)
  return reached
}
