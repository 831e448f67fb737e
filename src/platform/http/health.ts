import type { Context as HonoContext } from 'hono'
import { router } from './router.ts'

/** What `/readyz` found: empty reasons mean ready. */
export type Readiness = { ready: boolean; degraded: string[]; reasons: string[] }

/** Mounted at /. `/healthz` tells that the process runs; `/readyz` whether it can decide. */
export const healthRoutes = (
  readiness: (c: HonoContext) => Promise<Readiness>,
  metricsText: () => Promise<{ contentType: string; text: string }>,
) =>
  router()
    .get('/healthz', (c) => c.json({ status: 'ok' }))
    .get('/readyz', async (c) => {
      const { ready, reasons, degraded } = await readiness(c)
      const status = ready ? (degraded.length > 0 ? 'degraded' : 'ready') : 'unavailable'
      return c.json({ status, reasons: [...reasons, ...degraded] }, ready ? 200 : 503)
    })
    .get('/metrics', async () => {
      const { contentType, text } = await metricsText()
      return new Response(text, { headers: { 'content-type': contentType } })
    })
