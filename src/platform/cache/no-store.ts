import type { RemoteStore } from './remote-store.ts'

/** The store of a server that has none: everything is a miss, nothing is kept, nobody hears anything. */
export const createNoStore = (): RemoteStore => ({
  kind: 'none',
  getMany: async (keys) => keys.map(() => null),
  set: async () => {},
  delete: async () => {},
  increment: async () => 1,
  raise: async (numbers) => numbers.map(({ number }) => number),
  publish: async () => {},
  ping: async () => {},
  close: async () => {},
})
