import { readFile } from 'node:fs/promises'

/** A failure a person can mend; its message is the one line they see. */
export class CommandError extends Error {}

/** A file that was named on the command line. @throws CommandError */
export const readNamed = (file: string): Promise<string> =>
  readFile(file, 'utf8').catch(() => {
    throw new CommandError(`${file} cannot be read`)
  })
