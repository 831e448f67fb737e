import { rmSync } from 'node:fs'
import { workerData } from 'node:worker_threads'

/** A thread that ends its process when the process that started it is gone, and takes its folder away. */

const EVERY_MS = 1000
const { parent, folder } = workerData as { parent: number; folder: string }

setInterval(() => {
  if (process.ppid === parent) return
  rmSync(folder, { recursive: true, force: true })
  process.kill(process.pid, 'SIGKILL')
}, EVERY_MS)
