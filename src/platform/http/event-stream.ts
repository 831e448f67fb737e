import type { Context as HonoContext, MiddlewareHandler } from 'hono'
import { streamSSE } from 'hono/streaming'
import { describeRoute } from 'hono-openapi'
import type { Env } from './router.ts'

/** One event of a stream; `heartbeat` is sent as a comment, which clients do not see. */
export type StreamedEvent =
  | { event: 'heartbeat' }
  | { event: string; id: string; data: Readonly<Record<string, unknown>> }

/** Milliseconds after which a client whose connection was lost comes back. */
const RETRY_MS = 1000

/**
 * Answers with events as they come (WHATWG HTML, server-sent events). When the client goes, `watching` is aborted; when the
 * source fails, the stream ends and the client comes back with the id of the last event it has seen.
 */
export const eventStream = (
  c: HonoContext<Env>,
  events: AsyncIterable<StreamedEvent>,
  watching: AbortController,
) => {
  const { log } = c.var.context
  // Proxies that gather an answer before they pass it on would keep every event back.
  c.header('x-accel-buffering', 'no')
  return streamSSE(c, async (stream) => {
    stream.onAbort(() => watching.abort())
    try {
      await stream.write(`retry: ${RETRY_MS}\n\n`)
      for await (const event of events)
        if ('data' in event) await stream.writeSSE({ ...event, data: JSON.stringify(event.data) })
        else await stream.write(': heartbeat\n\n')
    } catch (error) {
      log.warn({ err: error }, 'a stream of events ended early')
    } finally {
      watching.abort()
    }
  })
}

/** Documents a route that answers with events. */
export const answersEvents = (summary: string): MiddlewareHandler =>
  describeRoute({
    summary,
    responses: {
      200: {
        description: 'Events, until the client goes',
        content: { 'text/event-stream': { schema: { type: 'string' } } },
      },
      default: { $ref: '#/components/responses/Problem' },
    },
  })
