import type { Queryable } from '../platform/db/connect.ts'

/** A meter of an organization as it stands: what it may reach, and what is used of it. */
export type MeterRow = {
  meter: string
  limit: string
  /** In units of the limit; null is unlimited. */
  value: number | null
  unitsPerLimit: number
  countedBy: 'rows' | 'reports'
  isOverridden: boolean
  overrideEndsAt: string | null
  /** In units of the meter. */
  used: number
  reserved: number
  resetsAt: string | null
}

/** Every meter in its order; under another plan than the organization's, if one is named. */
export const findMeters = (
  tx: Queryable,
  { organizationId, plan = null }: { organizationId: string; plan?: string | null },
) => tx<MeterRow[]>`
  select m.name as meter, m.limit_key as "limit", m.units_per_limit, m.counted_by, v.limit_key is not null as is_overridden,
    case when v.limit_key is not null then v.value else p.value end as value, v.expires_at as override_ends_at,
    coalesce(u.used, 0)::bigint as used, coalesce(u.reserved, 0)::bigint as reserved, resets_at_of(m.name, now()) as resets_at
  from organizations o
  join plan_limits p on p.plan = coalesce(${plan}::text, o.plan)
  join meters m on m.limit_key = p.limit_key
  left join limit_overrides v on v.organization_id = o.id and v.limit_key = m.limit_key
    and (v.expires_at is null or v.expires_at > now())
  left join usage u on u.organization_id = o.id and u.meter = m.name and u.period_start = period_of(m.name, now())
  where o.id = ${organizationId} order by m.position`

/** The plan of an organization and the version it is edited at. */
export const findPlan = async (tx: Queryable, organizationId: string) => {
  const [found] = await tx<{ plan: string; version: number }[]>`
    select plan, version from organizations where id = ${organizationId}`
  return found!
}

/** The same, held until the end of the transaction. */
export const lockPlan = async (tx: Queryable, organizationId: string) => {
  const [found] = await tx<{ plan: string; version: number }[]>`
    select plan, version from organizations where id = ${organizationId} for no key update`
  return found!
}

export const updatePlan = async (tx: Queryable, organizationId: string, plan: string) => {
  const [updated] = await tx<{ version: number }[]>`
    update organizations set plan = ${plan}, version = version + 1, updated_at = now() where id = ${organizationId}
    returning version`
  return updated!.version
}

/** Limits are edited at the version of their organization. */
export const raiseVersion = async (tx: Queryable, organizationId: string) => {
  const [updated] = await tx<{ version: number }[]>`
    update organizations set version = version + 1, updated_at = now() where id = ${organizationId} returning version`
  return updated!.version
}

export type Override = {
  organizationId: string
  limitKey: string
  value: number | null
  expiresAt: string | null
  setBy: string
  reason: string
}

export const upsertOverrides = (tx: Queryable, overrides: readonly Override[]) => tx`
  insert into limit_overrides ${tx(overrides as never)}
  on conflict (organization_id, limit_key) do update set value = excluded.value, expires_at = excluded.expires_at,
    set_by = excluded.set_by, reason = excluded.reason, set_at = now()`

export const findOverrides = (tx: Queryable, organizationId: string) => tx<
  { limit: string; value: number | null; endsAt: string | null }[]
>`
  select limit_key as "limit", value, expires_at as ends_at from limit_overrides
  where organization_id = ${organizationId} and (expires_at is null or expires_at > now()) order by limit_key`

/** Counts a report, unless one with its key was counted before. Whoever sends the same at once waits here. */
export const insertReport = (
  tx: Queryable,
  report: {
    organizationId: string
    idempotencyKey: string
    meter: string
    amount: number
    reportedBy: string
  },
) => tx`insert into usage_reports ${tx(report)} on conflict do nothing`

/** A report as it was counted, with what it left. */
export const findReport = async (tx: Queryable, organizationId: string, key: string) => {
  const [found] = await tx<
    {
      meter: string
      amount: number
      used: number
      reserved: number
      limitUnits: number | null
      resetsAt: string | null
    }[]
  >`
    select meter, amount, used, reserved, limit_units, resets_at from usage_reports
    where organization_id = ${organizationId} and idempotency_key = ${key}`
  return found!
}

export const insertReservation = (
  tx: Queryable,
  reservation: {
    id: string
    organizationId: string
    meter: string
    amount: number
    reservedBy: string
    seconds: number
  },
) => tx`
  insert into usage_reservations (id, organization_id, meter, amount, reserved_by, expires_at)
  values (${reservation.id}, ${reservation.organizationId}, ${reservation.meter}, ${reservation.amount},
    ${reservation.reservedBy}, now() + make_interval(secs => ${reservation.seconds}))`

/** A reservation that still counts, held until the end of the transaction. One that is over is left to who needs its room. */
export const lockReservation = async (tx: Queryable, organizationId: string, id: string) => {
  const [found] = await tx<{ meter: string; amount: number }[]>`
    select meter, amount from usage_reservations
    where organization_id = ${organizationId} and id = ${id} and status = 'reserved' and expires_at > now() for update`
  return found
}

export const hasReservation = async (tx: Queryable, organizationId: string, id: string) => {
  const found = await tx`
    select 1 as found from usage_reservations where organization_id = ${organizationId} and id = ${id}`
  return found.length > 0
}

export const endReservation = (
  tx: Queryable,
  end: { organizationId: string; id: string; status: 'committed' | 'released'; used: number },
) => tx`
  update usage_reservations set status = ${end.status}, used = ${end.used}, ended_at = now()
  where organization_id = ${end.organizationId} and id = ${end.id}`

/** Ends reservations of all organizations whose time is over. */
export const expireReservations = async (tx: Queryable, limit: number) => {
  const ended = await tx`
    update usage_reservations set status = 'expired', ended_at = now()
    where id in (select id from usage_reservations where status = 'reserved' and expires_at <= now()
      order by expires_at limit ${limit} for update skip locked)`
  return ended.count
}

export const deleteReports = async (tx: Queryable, days: number, limit: number) => {
  const deleted = await tx`
    delete from usage_reports where (organization_id, idempotency_key) in (
      select organization_id, idempotency_key from usage_reports where reported_at < now() - make_interval(days => ${days})
      limit ${limit})`
  return deleted.count
}

export const deleteReservations = async (tx: Queryable, days: number, limit: number) => {
  const deleted = await tx`
    delete from usage_reservations where id in (select id from usage_reservations
      where status <> 'reserved' and ended_at < now() - make_interval(days => ${days}) limit ${limit})`
  return deleted.count
}
