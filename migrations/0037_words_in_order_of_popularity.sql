-- The most popular matches of a word are found in one walk over an index that holds the words, too: rows are read by the thousand
-- for that, and each is twice as wide and somewhere else. An entry of an index has to fit on a third of a page, 2,704 bytes: words
-- of more than 2,000 bytes do not stand there but of their name alone. They are rare (more than 150 different ones) and are found
-- where descriptions are, when a first page is not full.
create function all_words_of(name text, summary text, tags text[]) returns tsvector language sql immutable parallel safe as $$
  select setweight(to_tsvector('pg_catalog.english', name), 'A')
      || setweight(to_tsvector('pg_catalog.english', summary || ' ' || array_to_string(tags, ' ')), 'B') $$;

-- null where they are not too long.
create function long_words_of(name text, summary text, tags text[]) returns tsvector
language plpgsql immutable parallel safe set search_path = public, pg_temp as $$
declare words tsvector := all_words_of(name, summary, tags);
begin
  return case when pg_column_size(words) > 2000 then words end;
end $$;

create or replace function words_of(name text, summary text, tags text[]) returns tsvector
language plpgsql immutable parallel safe set search_path = public, pg_temp as $$
declare words tsvector := all_words_of(name, summary, tags);
begin
  return case when pg_column_size(words) > 2000 then setweight(to_tsvector('pg_catalog.english', name), 'A') else words end;
end $$;

-- Of integrations the first hundred count for facets, where it was three hundred.
create or replace function terms_of(category text, tags text[], license text, pricing text, integrations text[], organization_id text)
returns int[] language plpgsql security definer set search_path = public, pg_temp as $$
declare codes int[];
begin
  insert into catalog_terms (facet, value)
  select of_template.facet, of_template.value from (
    select 0 as facet, category as value union select 1, unnest(tags) union select 2, license union select 3, pricing
    union select 4, unnest(integrations[1:100]) union select 5, organization_id) of_template
  where not exists (select 1 from catalog_terms t where t.facet = of_template.facet and t.value = of_template.value)
  order by of_template.facet, of_template.value on conflict do nothing;
  select array_agg(t.id * 8 + t.facet order by t.facet, t.id) into codes from catalog_terms t
  where (t.facet, t.value) in (select 0, category union all select 1, unnest(tags) union all select 2, license
    union all select 3, pricing union all select 4, unnest(integrations[1:100]) union all select 5, organization_id);
  return codes;
end $$;

-- Both are worked out anew where they may be others: the words of a row when its name is written, which changes nothing that
-- moderators would have to see.
alter table templates disable trigger guard_listing;
update templates set name = name where long_words_of(name, summary, tags) is not null;
update templates set terms = terms_of(category, tags, license, pricing, integrations, organization_id)
  where listing = 'listed' and cardinality(integrations) > 100;
set constraints all immediate;
alter table templates enable trigger guard_listing;

-- Writes the table anew, without what these rows were: an index that is made in the same transaction would hold that, too.
alter table templates add column long_words tsvector generated always as (long_words_of(name, summary, tags)) stored;

create index templates_popular_words on templates (popularity desc, id) include (words, terms) where listing = 'listed';
create index templates_long_words on templates using gin (long_words) where listing = 'listed' and long_words is not null;
