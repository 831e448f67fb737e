/** Types of answers that are still being made when they are given. */
const STREAMED = /^(?:text\/event-stream|application\/x-ndjson)\b/

/**
 * An answer, and when whoever reads it is done with it: what it is made from may not be let go of earlier. A stream that
 * nobody reads to its end is done when it is cancelled.
 */
export const untilRead = (answer: Response): { answer: Response; read: Promise<void> } => {
  const type = answer.headers.get('content-type') ?? ''
  if (answer.body === null || !STREAMED.test(type)) return { answer, read: Promise.resolve() }
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>()
  const read = answer.body.pipeTo(writable).catch(() => {})
  return { answer: new Response(readable, answer), read }
}
