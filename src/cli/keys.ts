import { styleText } from 'node:util'
import { Command, Option } from 'commander'
import { createOperatorKey, listOperatorKeys, revokeOperatorKey } from '../api-keys/service.ts'
import { withDatabase } from './database.ts'
import { table } from './table.ts'

const ROLES = ['super_admin', 'operator', 'support', 'moderator'] as const

/** `latchkey keys`: operators' keys, made on the database itself (stop a server on embedded storage first). */
export const keysCommand = () =>
  new Command('keys')
    .description("Operators' keys, on the database itself")
    .addCommand(
      new Command('create')
        .description('Make a key; its secret is printed once')
        .option('-n, --name <name>', 'what it is for', 'command line')
        .addOption(
          new Option('--role <role>', 'what it may do').choices(ROLES).default('super_admin'),
        )
        .action(({ name, role }: { name: string; role: (typeof ROLES)[number] }) =>
          withDatabase(async (context) => {
            const { token } = await createOperatorKey(context, { name, role })
            process.stdout.write(`${styleText('bold', token)}\n`)
          }),
        ),
    )
    .addCommand(
      new Command('list').description('List them').action(() =>
        withDatabase(async (context) => {
          const keys = await listOperatorKeys(context.sql)
          const rows = keys.map((key) => [
            key.id,
            key.name,
            key.roles.join(', '),
            key.lastUsedAt ?? 'never',
            key.revokedAt ?? '',
          ])
          process.stdout.write(table(['id', 'name', 'role', 'last used', 'revoked'], rows))
        }),
      ),
    )
    .addCommand(
      new Command('revoke')
        .description('Revoke one')
        .argument('<id>', 'as keys list shows it')
        .action((id: string) =>
          withDatabase(async (context) => {
            await revokeOperatorKey(context, id)
            process.stdout.write(`${id} is revoked\n`)
          }),
        ),
    )
