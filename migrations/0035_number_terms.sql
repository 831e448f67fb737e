-- What a listed template is filtered by and counted under, as numbers in one column, so that an index alone answers: its rows are
-- read by the thousand, and each is six times as wide as the numbers. Eight times the number of a term, plus what it is of, in the
-- order of FACETS in src/catalog/schema.ts.
create table catalog_terms (
  id int generated always as identity primary key constraint catalog_terms_fit check (id < 268435456),
  facet int not null constraint catalog_terms_facet_known check (facet between 0 and 5),
  value text collate "C" not null,                -- of publishers the organization
  constraint catalog_terms_unique unique (facet, value));
grant select on catalog_terms to latchkey_platform;

-- All of a template's terms. An entry of an index has to fit on a page: of integrations the first 300 count for facets; they are
-- looked for in their own column.
create function terms_of(category text, tags text[], license text, pricing text, integrations text[], organization_id text)
returns int[] language plpgsql security definer set search_path = public, pg_temp as $$
declare codes int[];
begin
  insert into catalog_terms (facet, value)
  select of_template.facet, of_template.value from (
    select 0 as facet, category as value union select 1, unnest(tags) union select 2, license union select 3, pricing
    union select 4, unnest(integrations[1:300]) union select 5, organization_id) of_template
  where not exists (select 1 from catalog_terms t where t.facet = of_template.facet and t.value = of_template.value)
  order by of_template.facet, of_template.value on conflict do nothing;
  select array_agg(t.id * 8 + t.facet order by t.facet, t.id) into codes from catalog_terms t
  where (t.facet, t.value) in (select 0, category union all select 1, unnest(tags) union all select 2, license
    union all select 3, pricing union all select 4, unnest(integrations[1:300]) union all select 5, organization_id);
  return codes;
end $$;

revoke execute on function terms_of from public;

alter table templates add column terms int[] not null default '{}';
create function number_terms() returns trigger language plpgsql security definer set search_path = public, pg_temp as $$
begin
  -- What is not listed is nobody's business, not even its words.
  new.terms := case when new.listing = 'listed'
    then terms_of(new.category, new.tags, new.license, new.pricing, new.integrations, new.organization_id) else '{}' end;
  return new;
end $$;
create trigger number_terms before insert or update of listing, category, tags, license, pricing, integrations on templates
  for each row execute function number_terms();
update templates set terms = terms_of(category, tags, license, pricing, integrations, organization_id) where listing = 'listed';

drop index templates_popular, templates_popular_paid, templates_tags, templates_by_category;
create index templates_popular on templates (popularity desc, id) include (terms) where listing = 'listed';
create index templates_popular_paid on templates (popularity desc, id) include (terms) where listing = 'listed' and pricing = 'paid';
create index templates_terms on templates using gin (terms) where listing = 'listed';
