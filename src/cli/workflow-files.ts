import { createHash } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { basename } from 'node:path'

/** Bytes of a file that is read at all: room for spaces around a definition of the size that is taken. */
const FILE_BYTES_MAX = 8 * 1024 * 1024
const TAGS_MAX = 12
const NAME_CHARACTERS_MAX = 120

/** What is handed in of a file. */
export type Workflow = {
  readonly slug: string
  readonly name: string
  readonly tags: readonly string[]
  readonly definition: object
}

/** Why a file holds nothing to hand in. */
export type Unusable = { readonly code: string; readonly detail: string }

/**
 * A workflow as n8n writes it: an object with a list `nodes`, by itself or under `workflow` as its catalog wraps it.
 * @param path as it is told to the server: the same file has the same slug each time, so that nothing is imported twice
 */
export const readWorkflow = async (file: string, path: string): Promise<Workflow | Unusable> => {
  const { size } = await stat(file)
  if (size > FILE_BYTES_MAX) return unusable('file-too-large', `it has ${size} bytes`)
  const document = parse(await readFile(file, 'utf8'))
  if (document === undefined) return unusable('no-json', 'it is no JSON')
  const workflow = workflowIn(document)
  if (!workflow) return unusable('no-workflow', 'it has no list `nodes`')
  const name = nameOf(workflow, file)
  const slug = `${slugOf(name).slice(0, 48) || 'workflow'}-${hashOf(path)}`
  return { slug, name, tags: tagsOf(workflow), definition: workflow }
}

const unusable = (code: string, detail: string): Unusable => ({ code, detail })

const parse = (text: string): unknown => {
  try {
    return JSON.parse(text.replace(/^\uFEFF/, ''))
  } catch {
    return undefined
  }
}

type Members = { readonly [member: string]: unknown }
const isObject = (value: unknown): value is Members =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const workflowIn = (document: unknown): Members | undefined => {
  if (!isObject(document)) return undefined
  if (Array.isArray(document.nodes)) return document
  return workflowIn(document.workflow)
}

const nameOf = ({ name }: Members, file: string) => {
  const said = typeof name === 'string' ? clean(name) : ''
  return said || clean(basename(file, '.json')) || 'Workflow'
}
/** One line of at most 120 characters, none of them cut in half. */
const clean = (text: string) => {
  const line = text
    .toWellFormed()
    .replace(/[\p{C}\s]+/gu, ' ')
    .trim()
  return line.slice(0, NAME_CHARACTERS_MAX).replace(/[\ud800-\udbff]$/, '')
}

const slugOf = (text: string) =>
  text
    .normalize('NFKD')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '')

const hashOf = (path: string) => createHash('sha256').update(path).digest('hex').slice(0, 8)

/** n8n writes tags as texts, or as objects with a name. */
const tagsOf = ({ tags }: Members): string[] => {
  const names = (Array.isArray(tags) ? tags : []).flatMap((tag: unknown) =>
    typeof tag === 'string'
      ? [tag]
      : isObject(tag) && typeof tag.name === 'string'
        ? [tag.name]
        : [],
  )
  const slugs = names.map((name) => slugOf(name).slice(0, 32).replace(/-+$/, '')).filter(Boolean)
  return [...new Set(slugs)].slice(0, TAGS_MAX)
}
