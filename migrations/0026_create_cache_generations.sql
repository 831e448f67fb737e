-- What clears a cache: the number of a namespace, a tag or an organization stands in the keys of all entries that belong to it,
-- so that raising it, in the transaction of the change, makes them unreachable. Readers ask for everything since the oldest
-- transaction that was still open when they last asked, as they do of policy_changes. Names tell of organizations, so no
-- request reads them inside one.
create table cache_generations (
  name text collate "C" primary key
    constraint cache_generations_name_length check (octet_length(name) between 1 and 300),
  generation bigint not null constraint cache_generations_begin_at_one check (generation >= 1),
  raised_by xid8 not null default pg_current_xact_id());
create index cache_generations_by_transaction on cache_generations (raised_by);

grant select, insert, update on cache_generations to latchkey_platform;
