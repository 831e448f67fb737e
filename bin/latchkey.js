#!/usr/bin/env node
// Starts the command line on a Node that can run it: this one, or the one that npm installed here.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const path = (relative) => fileURLToPath(new URL(relative, import.meta.url))
const fail = (message) => {
  console.error(message)
  process.exit(1)
}

const [major, minor] = process.versions.node.split('.').map(Number)
// From these versions on Node strips types by itself.
const isNewEnough = major >= 24 || (major === 23 && minor >= 6) || (major === 22 && minor >= 18)

const runHere = async () => {
  const isCheckout = existsSync(path('../src/cli.ts'))
  if (!isCheckout && !existsSync(path('../dist/cli.js')))
    fail('latchkey: there is neither src/cli.ts nor dist/cli.js beside this file.')
  await import(isCheckout ? '../src/cli.ts' : '../dist/cli.js')
}

const runOnInstalledNode = () => {
  const node = path('../node_modules/node/bin/node')
  if (!existsSync(node))
    fail(
      `latchkey: needs Node 22.18 or newer, this is ${process.version}; ` +
        'install one, or run npm install, which brings its own.',
    )
  const child = spawn(node, process.argv.slice(1), { stdio: 'inherit' })
  child.on('error', (error) => fail(`latchkey: ${node} does not start: ${error.message}`))

  const passOn = ['SIGTERM', 'SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGUSR2']
  // What is typed at a terminal reaches both processes without us.
  const typed = process.stdin.isTTY ? ['SIGINT', 'SIGQUIT'] : []
  for (const signal of passOn)
    process.on(signal, () => typed.includes(signal) || child.kill(signal))

  child.on('exit', (code, signal) => {
    if (!signal) process.exit(code)
    process.removeAllListeners(signal)
    process.kill(process.pid, signal)
  })
}

if (isNewEnough) await runHere()
else runOnInstalledNode()
