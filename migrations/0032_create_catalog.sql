-- What the catalog shows is kept by the nodes (src/catalog/kept.ts) under a generation, which any change of what is listed raises:
-- at the end of its transaction, so that the one row they all raise is held for a moment only, and once a transaction.
create function raise_catalog() returns trigger language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if current_setting('latchkey.catalog_raised', true) is not distinct from pg_current_xact_id()::text then return null; end if;
  if tg_table_name in ('template_versions', 'template_descriptions', 'prices') then
    if not exists (select 1 from templates t where t.id = coalesce(new.template_id, old.template_id) and t.listing = 'listed') then
      return null;
    end if;
  end if;
  insert into cache_generations as known (name, generation) values ('namespace:marketplace', 1)
  on conflict (name) do update set generation = known.generation + 1, raised_by = pg_current_xact_id();
  perform set_config('latchkey.catalog_raised', pg_current_xact_id()::text, true);
  return null;
end $$;

create constraint trigger raise_catalog_of_text after update on templates deferrable initially deferred for each row
  when ('listed' in (old.listing, new.listing)
    and (old.listing, old.visibility, old.slug, old.name, old.summary, old.category, old.tags, old.integrations, old.license, old.pricing,
         old.is_official, old.deprecated_at, old.content_updated_at)
      is distinct from (new.listing, new.visibility, new.slug, new.name, new.summary, new.category, new.tags, new.integrations, new.license,
         new.pricing, new.is_official, new.deprecated_at, new.content_updated_at))
  execute function raise_catalog();
create constraint trigger raise_catalog_of_end after delete on templates deferrable initially deferred for each row
  when (old.listing = 'listed') execute function raise_catalog();
create constraint trigger raise_catalog after update of status on template_versions deferrable initially deferred for each row
  when (old.status <> new.status) execute function raise_catalog();
create constraint trigger raise_catalog after insert or update or delete on template_descriptions deferrable initially deferred for each row
  execute function raise_catalog();
create constraint trigger raise_catalog after insert or update on prices deferrable initially deferred for each row
  execute function raise_catalog();
create constraint trigger raise_catalog after update on publishers deferrable initially deferred for each row
  when (old.handle <> new.handle or old.verified_at is distinct from new.verified_at) execute function raise_catalog();
create constraint trigger raise_catalog after insert or update or delete on categories deferrable initially deferred for each row
  execute function raise_catalog();

-- How many were made of it.
create index templates_by_origin on templates (derived_from) where derived_from is not null;
