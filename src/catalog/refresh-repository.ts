import type { Queryable } from '../platform/db/connect.ts'

/** The mean of all ratings that show; what it was before there are any. */
export const updateRatingMean = (tx: Queryable) => tx`
  update marketplace_figures set computed_at = now(), rating_mean = coalesce((
    select sum(rating_sum)::float8 / nullif(sum(rating_count), 0) from templates where listing = 'listed'), rating_mean)`

export const findMostInstalls = async (tx: Queryable) => {
  const [row] = await tx<{ most: number }[]>`
    select coalesce(max(install_count), 0)::bigint as most from templates where listing = 'listed'`
  return row!.most
}

/** The ids after one, in the order of ids: what is gone over next. */
export const listAfter = (tx: Queryable, after: string, limit: number) => tx<{ id: string }[]>`
  select id from templates where listing = 'listed' and id > ${after} order by id limit ${limit}`

/**
 * Works out what templates are sorted by. Written only where it moved by more than a thousandth: age moves all of them every hour,
 * and each row that is written is written into every index.
 * - rating: (C·m + sum) / (C + n); 0 where nobody rated
 * - popularity: rating with m where nobody rated, of 5 + ln(1 + installations) of the most + 2^(−age / 180 d), half of it for an
 *   unverified publisher, half for what is deprecated
 * - trending: installing organizations a day · 2^(−age / 7 d), over 30 days
 */
export const updateFigures = async (
  tx: Queryable,
  range: { from: string; to: string; mostInstalls: number },
) => {
  const rows = await tx<{ id: string }[]>`
    with days as (
      select template_id, sum(installs * power(2, -((now() at time zone 'UTC')::date - day) / 7.0)) as trending
      from template_days where template_id between ${range.from} and ${range.to}
        and day > (now() at time zone 'UTC')::date - 30 group by template_id),
    figures as (
      select t.id, case when t.rating_count = 0 then 0 else score_of(t.rating_sum, t.rating_count) end as rating_score,
        (score_of(t.rating_sum, t.rating_count) / 5
          + coalesce(ln(1 + t.install_count) / nullif(ln(1 + ${range.mostInstalls}::float8), 0), 0)
          + power(2, -extract(epoch from now() - t.content_updated_at)::float8 / (180 * 86400)))
          * case when p.verified_at is null then 0.5 else 1 end * case when t.deprecated_at is null then 1 else 0.5 end as popularity,
        coalesce(d.trending, 0) as trending
      from templates t left join publishers p on p.organization_id = t.organization_id left join days d on d.template_id = t.id
      where t.listing = 'listed' and t.id between ${range.from} and ${range.to})
    update templates t set rating_score = f.rating_score, popularity = f.popularity, trending = f.trending
    from figures f where t.id = f.id
      and greatest(abs(t.rating_score - f.rating_score), abs(t.popularity - f.popularity), abs(t.trending - f.trending)) > 0.001
    returning t.id`
  return rows.length
}

/** The words of all names and tags that are listed, as they are written, with how many templates have them. */
export const refreshWords = async (tx: Queryable) => {
  const [row] = await tx<{ words: number }[]>`
    with found as (
      select word, ndoc from ts_stat($$
        select to_tsvector('pg_catalog.simple', name || ' ' || array_to_string(tags, ' ')) from templates where listing = 'listed'$$)
      where word ~ '^[[:alpha:]][[:alnum:]]{2,31}$'),
    gone as (delete from template_words w where not exists (select 1 from found f where f.word = w.word)),
    put as (
      insert into template_words as w (word, templates) select word, ndoc from found
      on conflict (word) do update set templates = excluded.templates where w.templates <> excluded.templates)
    select count(*)::int as words from found`
  return row!.words
}

/** Who was counted on a day is of use on that day, and on the next where clocks differ. */
export const deleteCounted = async (tx: Queryable, limit: number) => {
  const rows = await tx`
    delete from template_day_organizations where ctid = any(array(
      select ctid from template_day_organizations where day < (now() at time zone 'UTC')::date - 2 limit ${limit}))
    returning 1 as deleted`
  return rows.length
}
