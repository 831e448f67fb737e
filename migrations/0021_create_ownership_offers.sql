-- Nobody becomes an owner without accepting. One offer at a time: the organization is its key.
create table ownership_offers (
  organization_id typeid primary key references organizations on delete cascade,
  offered_by subject not null,
  offered_to subject not null,
  former_owner_role role_name,                  -- of organization scope; resolved, and asked of the ceiling, at acceptance
  created_at timestamptz not null default now(),
  expires_at timestamptz not null,
  version int not null default 1,
  -- Whoever leaves takes the offer along.
  foreign key (organization_id, offered_by) references members on delete cascade,
  constraint ownership_offers_to_a_member foreign key (organization_id, offered_to) references members on delete cascade,
  constraint ownership_offers_to_somebody_else check (offered_to <> offered_by));
create index ownership_offers_by_expiry on ownership_offers (expires_at);

-- An offer ends when who made it is no active owner any more, and when who got it is suspended or became an owner otherwise.
-- Accepting takes the offer first, so that this finds none.
create function end_ownership_offers() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  delete from ownership_offers f using new_rows n
   where f.organization_id = n.organization_id
     and ((n.subject = f.offered_by and not (n.is_owner and n.status = 'active'))
       or (n.subject = f.offered_to and (n.is_owner or n.status <> 'active')));
  return null;
end $$;
create trigger end_ownership_offers after update on members referencing new table as new_rows
  for each statement execute function end_ownership_offers();

select protect_rows('ownership_offers', 'organization_id = current_organization()');
grant select, insert, update, delete on ownership_offers to latchkey_app, latchkey_platform;
