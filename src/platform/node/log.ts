import { pino } from 'pino'
import type { Log } from '../log.ts'

/**
 * JSON lines on standard output; where several processes are one server, each names the worker. Tokens and keys never reach
 * a log line: requests are logged by id only.
 */
export const createLog = (level: string, worker?: number): Log =>
  pino({
    level,
    base: worker === undefined ? undefined : { worker },
    timestamp: pino.stdTimeFunctions.isoTime,
    redact: { paths: ['*.authorization', '*.secret', '*.token', '*.password'], censor: '[secret]' },
  }) as unknown as Log
