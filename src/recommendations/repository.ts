import type { Queryable, Transaction } from '../platform/db/connect.ts'
import type { AskAdvice, ListRecommendations, Recommendation, Run, RunSummary } from './schema.ts'

export const insertRun = (
  tx: Transaction,
  run: { id: string; input: AskAdvice; actor: string; jobId: string },
) => tx`
  insert into advice_runs (id, input, actor, job_id)
  values (${run.id}, ${tx.json(run.input as never)}, ${run.actor}, ${run.jobId})`

const SUMMARY = (tx: Queryable) => tx`
  r.id, r.status, r.how, r.actor, r.job_id, r.progress, r.cost_before, r.cost_after, r.plans, r.elapsed_ms, r.error, r.created_at,
  r.finished_at, (select count(*)::int from recommendations c where c.run_id = r.id) as recommendations`

export const listRuns = (tx: Queryable, { before, limit }: { before: string; limit: number }) => tx<
  RunSummary[]
>`
  select ${SUMMARY(tx)} from advice_runs r where r.id < ${before} order by r.id desc limit ${limit}`

export const findRun = async (tx: Queryable, id: string) => {
  const [run] = await tx<Run[]>`
    select ${SUMMARY(tx)}, r.queries, r.refused, r.notes from advice_runs r where r.id = ${id}`
  return run
}

/** Says that a run begins, and what it was asked; nothing where it has ended. */
export const beginRun = async (tx: Queryable, id: string) => {
  const [run] = await tx<{ input: AskAdvice }[]>`
    update advice_runs set status = 'running' where id = ${id} and status in ('queued', 'running') returning input`
  return run
}

export const noteProgress = (tx: Transaction, id: string, progress: object) => tx`
  update advice_runs set progress = ${tx.json(progress as never)} where id = ${id} and status = 'running'`

export type Finished = Pick<
  Run,
  'how' | 'costBefore' | 'costAfter' | 'queries' | 'refused' | 'notes' | 'plans' | 'elapsedMs'
>

export const finishRun = (tx: Transaction, id: string, run: Finished) => tx`
  update advice_runs set status = 'done', progress = null, how = ${run.how}, cost_before = ${run.costBefore},
    cost_after = ${run.costAfter}, queries = ${tx.json(run.queries as never)}, refused = ${tx.json(run.refused as never)},
    notes = ${tx.json(run.notes as never)}, plans = ${run.plans}, elapsed_ms = ${run.elapsedMs}, finished_at = now()
  where id = ${id} and status = 'running'`

export const failRun = (tx: Queryable, id: string, error: string) => tx`
  update advice_runs set status = 'failed', progress = null, error = ${error}, finished_at = now()
  where id = ${id} and status in ('queued', 'running')`

const SHOWN = (tx: Queryable) => tx`
  id, run_id, kind, schema_name as schema, table_name as table, index_name as index, statement, undo, gain, write_cost, bytes, how,
  confidence, code, reason, queries, status, status_reason, verdict, decided_by, decided_at, created_at, version`

export const listRecommendations = (
  tx: Queryable,
  { status, kind, run, before, limit }: ListRecommendations & { before: string },
) => tx<Recommendation[]>`
  select ${SHOWN(tx)} from recommendations
  where id < ${before} and (${status ?? null}::text is null or status = ${status ?? null})
    and (${kind ?? null}::text is null or kind = ${kind ?? null}) and (${run ?? null}::text is null or run_id = ${run ?? null})
  order by id desc limit ${limit}`

export const findRecommendation = async (tx: Queryable, id: string) => {
  const [found] = await tx<Recommendation[]>`
    select ${SHOWN(tx)} from recommendations where id = ${id}`
  return found
}

/** What a run advises, as it is kept. */
export type Proposal = Pick<
  Recommendation,
  | 'id'
  | 'kind'
  | 'schema'
  | 'table'
  | 'index'
  | 'statement'
  | 'undo'
  | 'gain'
  | 'writeCost'
  | 'bytes'
  | 'how'
  | 'confidence'
  | 'code'
  | 'reason'
  | 'queries'
> & { definition: string }

/**
 * Keeps what is proposed: what was proposed before is brought up to date, what is being applied is left alone, and what somebody
 * has refused is not proposed again.
 */
export const putProposals = (tx: Transaction, runId: string, proposals: readonly Proposal[]) => tx<
  { id: string }[]
>`
  with given as (
    select * from jsonb_to_recordset(${tx.json(proposals as never)}) as p (id text, kind text, schema text, "table" text, index text,
      statement text, undo text, gain float8, "writeCost" float8, bytes float8, how text, confidence text, code text, reason text,
      queries jsonb, definition text)),
  wanted as (
    select g.* from given g where not exists (
      select from recommendations r where r.kind = g.kind and r.definition = g.definition and r.index_name = g.index
        and (r.status = 'dismissed' and r.decided_by is not null or r.status in ('approved', 'creating', 'reverting'))))
  insert into recommendations as known (id, run_id, kind, schema_name, table_name, index_name, definition, statement, undo, gain,
    write_cost, bytes, how, confidence, code, reason, queries)
  select id, ${runId}, kind, schema, "table", index, definition, statement, undo, gain, "writeCost", round(bytes), how, confidence,
    code, reason, queries from wanted
  on conflict (kind, definition, index_name)
    where status in ('proposed', 'approved', 'creating', 'reverting') or (status = 'active' and kind = 'create')
  do update set run_id = excluded.run_id, gain = excluded.gain, write_cost = excluded.write_cost, bytes = excluded.bytes,
    how = excluded.how, confidence = excluded.confidence, reason = excluded.reason, queries = excluded.queries,
    version = known.version + 1, updated_at = now()
  where known.status = 'proposed'
  returning id`

/**
 * What earlier runs proposed and this one does not any more; nobody refused it, so it may be proposed again. What measuring
 * proposed (src/indexes/verify.ts) is of no run, and stays.
 */
export const supersede = (tx: Queryable, runId: string) => tx`
  update recommendations set status = 'dismissed', status_reason = 'A later run does not advise it any more.', ended_at = now(),
    version = version + 1, updated_at = now()
  where status = 'proposed' and run_id is not null and run_id <> ${runId}`
