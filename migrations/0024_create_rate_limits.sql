-- Attempts at what could be used to guess, to find out or to flood, counted for all nodes together. A key is a keyed hash of
-- the limit and of whom it counts, so that the table tells of nobody; a row that has ended counts for nothing and is deleted.
create table rate_limits (
  key bytea primary key constraint rate_limits_hold_a_hash check (octet_length(key) = 32),
  used int not null constraint rate_limits_used_count check (used >= 1),
  ends_at timestamptz not null);
create index rate_limits_by_end on rate_limits (ends_at);

grant select, insert, update, delete on rate_limits to latchkey_platform;
