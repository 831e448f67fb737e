import type { Worker } from 'node:cluster'

/**
 * The runtime's round robin forgets the connection that it was just giving to a worker when it died: nobody serves it and
 * nobody closes it, and its client would wait forever (nodejs/node#3551 is of the same kind). Here it is closed, so that the
 * client tries again. Connections are given one at a time, so it can only be the last.
 */
export const closeLostConnection = (worker: Worker) => {
  let last: { close?: () => void } | undefined
  const child = worker.process
  const send = child.send as (...given: unknown[]) => boolean
  child.send = (...given: unknown[]) => {
    if (given[1] instanceof Object && 'close' in given[1]) last = given[1] as typeof last
    return send.apply(child, given)
  }
  worker.once('exit', (code) => {
    // One that ends in good order has given back what it did not take.
    if (code !== 0) last?.close?.()
  })
}
