import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { startGuarded } from './guarded.ts'

const sleeper = {
  name: 'sleeper',
  accounts: [],
  files: () => ({ greeting: 'hello' }),
  command: () => ['bash', '-c', 'cat greeting; exec sleep 60'],
  ready: async (folder: string) => existsSync(`${folder}/greeting`),
  stopSignal: 'TERM' as const,
}

test('ends the server and removes its folder when told to', async () => {
  const { pid, folder, stop } = await startGuarded(sleeper)
  expect([isAlive(pid), existsSync(folder)]).toEqual([true, true])
  await stop()
  expect([isAlive(pid), existsSync(folder)]).toEqual([false, false])
})

test.each(['SIGKILL', 'SIGINT', 'SIGTERM'] as const)(
  'ends the server and removes its folder when %s ends its owner',
  async (signal) => {
    const owner = spawn(process.execPath, ['--input-type=module', '-e', OWNER])
    const [line] = await once(owner.stdout, 'data')
    const { pid, folder } = JSON.parse(String(line))
    expect([isAlive(pid), existsSync(folder)]).toEqual([true, true])
    owner.kill(signal)
    await expect.poll(() => [isAlive(pid), existsSync(folder)], POLL).toEqual([false, false])
  },
)

test('says why a server did not start', async () => {
  const broken = {
    ...sleeper,
    command: () => ['bash', '-c', 'echo no such setting; exit 1'],
    ready: async () => false,
  }
  await expect(startGuarded(broken, 1)).rejects.toThrow('no such setting')
})

test('waits no longer than it was told', async () => {
  const slow = { ...sleeper, ready: () => sleep(10, false), readyMsMax: 100 }
  await expect(startGuarded(slow, 1)).rejects.toThrow('sleeper did not start')
})

const POLL = { timeout: 10_000, interval: 20 }

const OWNER = `
import { existsSync } from 'node:fs'
import { startGuarded } from ${JSON.stringify(new URL('./guarded.ts', import.meta.url).href)}
const { pid, folder } = await startGuarded({
  name: 'sleeper', accounts: [], files: () => ({}), command: () => ['sleep', '60'],
  ready: async () => true, stopSignal: 'TERM',
})
console.log(JSON.stringify({ pid, folder }))
setInterval(() => {}, 1000)
`

const isAlive = (pid: number) => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
