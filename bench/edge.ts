import worker, { type WorkerEnvironment } from '../src/worker.ts'

// The server as it runs on Workers, and beside it in the same isolate a no-op: POST /nothing reads and parses the body, and
// answers as many bytes as are asked for. What is asked for stands in the query, because a Worker keeps nothing for others.

type Execution = Parameters<typeof worker.fetch>[2]

const answerOf = (bytes: number) => `{"allowed":true,"padding":"${'x'.repeat(bytes)}"}`

export default {
  async fetch(request: Request, environment: WorkerEnvironment, execution: Execution) {
    const { pathname, searchParams } = new URL(request.url)
    if (pathname !== '/nothing') return worker.fetch(request, environment, execution)
    await request.json()
    return new Response(answerOf(Number(searchParams.get('bytes'))), {
      headers: { 'content-type': 'application/json' },
    })
  },
}
