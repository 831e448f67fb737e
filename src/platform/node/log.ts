import { pino } from 'pino'
import type { Log } from '../log.ts'

/** JSON lines on standard output. Tokens and keys never reach a log line: requests are logged by id only. */
export const createLog = (level: string): Log =>
  pino({
    level,
    base: undefined,
    timestamp: pino.stdTimeFunctions.isoTime,
    redact: { paths: ['*.authorization', '*.secret', '*.token', '*.password'], censor: '[secret]' },
  }) as unknown as Log
