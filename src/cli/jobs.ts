import { styleText } from 'node:util'
import { Command } from 'commander'
import { ask, type Remote, remoteOptions } from './remote.ts'
import { table } from './table.ts'

type Queue = {
  queue: string
  paused: boolean
  slots: number
  slotsMax: number
  states: { scheduled: number; ready: number; running: number; dead: number; parked: number }
  oldestWaitingSeconds: number | null
  startsPerSecond: number
}

type Explanation = {
  state: string
  waitsFor: { code: string; detail: string; until?: string }[]
  expectedStartAt: string | null
  basis: string
}

/** `3 s`, `12 min`, `5 h`: how long something is ago, in one number. */
const duration = (seconds: number | null) => {
  if (seconds === null) return ''
  if (seconds < 120) return `${Math.round(seconds)} s`
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`
}

const alarming = (count: number) => (count > 0 ? styleText('red', `${count}`) : '0')

const rowOf = ({ states, ...queue }: Queue) => [
  queue.paused ? `${queue.queue} ${styleText('yellow', '(paused)')}` : queue.queue,
  `${states.ready + states.scheduled}`,
  `${states.running}`,
  alarming(states.dead),
  alarming(states.parked),
  duration(queue.oldestWaitingSeconds),
  `${queue.slots}/${queue.slotsMax}`,
  `${Math.round(queue.startsPerSecond * 100) / 100}/s`,
]

const HEAD = ['queue', 'waiting', 'running', 'dead', 'parked', 'oldest', 'slots', 'rate']

const listQueues = async (remote: Remote) => {
  const { items } = await ask<{ items: Queue[] }>(remote, 'GET', '/v1/jobs/queues')
  process.stdout.write(table(HEAD, items.map(rowOf)))
}

const causeOf = ({ code, detail, until }: Explanation['waitsFor'][number]) =>
  `  ${styleText('cyan', code)}  ${detail}${until === undefined ? '' : ` (until ${until})`}`

const explain = async (remote: Remote & { organization?: string }, job: string) => {
  const { organization } = remote
  const of = organization === undefined ? '' : `/organizations/${encodeURIComponent(organization)}`
  const path = `/v1${of}/jobs/${encodeURIComponent(job)}/explain`
  const told = await ask<Explanation>(remote, 'GET', path)
  const lines = [
    styleText('bold', told.state),
    ...told.waitsFor.map(causeOf),
    ...(told.expectedStartAt === null ? [] : [`expected to start at ${told.expectedStartAt}`]),
    styleText('dim', told.basis),
  ]
  process.stdout.write(`${lines.join('\n')}\n`)
}

/** Jobs the server changes with one call. */
const AT_ONCE = 10_000

/** Goes on while there may be more; what dies again meanwhile is not tried again and again. */
const redrive = async (remote: Remote, queue: string) => {
  const body = JSON.stringify({ queue })
  let total = 0
  for (;;) {
    const path = '/v1/jobs/redrive'
    const answer = await ask<{ matched: number; changed: number }>(remote, 'POST', path, body)
    total += answer.changed
    if (answer.changed === 0 || answer.matched < AT_ONCE) break
  }
  process.stdout.write(`${total} ${total === 1 ? 'job is' : 'jobs are'} ready again\n`)
}

/** `latchkey jobs`: how the queues stand, why a job waits, dead jobs tried again. */
export const jobsCommand = () => {
  const command = new Command('jobs')
    .description('How the queues stand; why a job waits; dead jobs tried again')
    .action((remote: Remote) => listQueues(remote))
  for (const option of remoteOptions()) command.addOption(option)
  command
    .command('explain')
    .description('Why a job waits, and when it is expected to start')
    .argument('<job>', 'its id, as job_…')
    .option('-o, --organization <id or slug>', 'its organization, for a key of that')
    .action((job: string, _: object, self: Command) => explain(self.optsWithGlobals(), job))
  command
    .command('redrive')
    .description('Try the dead jobs of a queue again')
    .argument('<queue>', 'the queue')
    .action((queue: string, _: object, self: Command) => redrive(self.optsWithGlobals(), queue))
  return command
}
