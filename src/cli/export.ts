import { writeFile } from 'node:fs/promises'
import { Command } from 'commander'
import { ask, type Remote, remoteOptions } from './remote.ts'

/** `latchkey export`: an organization as a document that `import` takes. */
export const exportCommand = () => {
  const command = new Command('export')
    .description('Write an organization as a document that import takes')
    .requiredOption('-o, --organization <id or slug>', 'which')
    .option('-f, --file <path>', 'where to; standard output without it')
    .action(async (asked: Remote & { organization: string; file?: string }) => {
      const path = `/v1/organizations/${encodeURIComponent(asked.organization)}/export`
      const text = `${JSON.stringify(await ask<unknown>(asked, 'GET', path), null, 2)}\n`
      if (asked.file === undefined) process.stdout.write(text)
      else await writeFile(asked.file, text)
    })
  for (const option of remoteOptions()) command.addOption(option)
  return command
}
