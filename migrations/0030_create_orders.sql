-- Money: prices, orders, what a payment provider told, and what an organization is entitled to. Amounts are integers in minor
-- units of their currency (ISO 4217).

create table prices (
  id typeid primary key constraint prices_id_prefix check (starts_with(id, 'prc_')),
  template_id typeid not null references templates on delete cascade,
  currency text collate "C" not null constraint prices_currency_form check (currency ~ '^[A-Z]{3}$'),
  amount_minor bigint not null constraint prices_in_range check (amount_minor between 1 and 100000000000),
  created_at timestamptz not null default now(),
  retired_at timestamptz,
  unique (template_id, id));
create unique index prices_one_live_per_currency on prices (template_id, currency) where retired_at is null;

-- Orders outlive the organization that placed them: books are kept.
create table orders (
  id typeid primary key constraint orders_id_prefix check (starts_with(id, 'ord_')),
  organization_id typeid not null,
  ordered_by text collate "C" not null,
  template_id typeid not null,
  price_id typeid not null,
  -- As they were when bought.
  amount_minor bigint not null, currency text collate "C" not null, license text collate "C" not null, template_name text not null,
  refunded_minor bigint not null default 0,
  status text collate "C" not null default 'pending'
    constraint orders_status_known check (status in ('pending', 'paid', 'failed', 'canceled', 'refunded', 'disputed')),
  refund_requested_at timestamptz, refund_reason_code text collate "C",
  provider text collate "C" not null,
  provider_ref text collate "C",                -- the provider's name for the checkout
  payment_ref text collate "C",                 -- and for the payment, once there is one: refunds and disputes name it
  checkout_url text,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  paid_at timestamptz,
  unique (organization_id, template_id, id),
  constraint orders_provider_reference_once unique (provider, provider_ref),
  constraint orders_payment_reference_once unique (provider, payment_ref),
  constraint orders_refund_within_the_amount check (refunded_minor between 0 and amount_minor));
create index orders_by_organization on orders (organization_id, id);
create index orders_by_template on orders (template_id, created_at);

create table payment_events (
  provider text collate "C" not null,
  event_id text collate "C" not null,
  kind text collate "C" not null,
  order_id typeid,
  outcome text collate "C" not null,            -- what it led to, or why to nothing
  received_at timestamptz not null default now(),
  constraint payment_events_once primary key (provider, event_id));

create table entitlements (
  id typeid primary key constraint entitlements_id_prefix check (starts_with(id, 'ent_')),
  organization_id typeid not null references organizations on delete cascade,
  template_id typeid not null references templates on delete cascade,
  source text collate "C" not null constraint entitlements_source_known check (source in ('purchase', 'grant', 'plan')),
  order_id typeid,
  license text collate "C" not null,            -- as it was
  reason text,
  expires_at timestamptz, suspended_at timestamptz, revoked_at timestamptz, revoke_reason text collate "C",
  created_at timestamptz not null default now(),
  constraint entitlements_of_their_own_order foreign key (organization_id, template_id, order_id)
    references orders (organization_id, template_id, id),
  constraint entitlements_purchase_has_an_order check ((source = 'purchase') = (order_id is not null)));
create unique index entitlements_one_live on entitlements (organization_id, template_id) where revoked_at is null;
create index entitlements_by_template on entitlements (template_id);

do $$
declare
  own constant text := 'organization_id = current_organization()';
  of_visible constant text := 'exists (select 1 from templates t where t.id = template_id)';
  of_own constant text := 'exists (select 1 from templates t where t.id = template_id and t.organization_id = current_organization())';
begin
  perform protect_rows('prices', of_own, of_visible);
  perform protect_rows('orders', own);
  perform protect_rows('entitlements', 'false', own);
end $$;
grant select, insert (id, template_id, currency, amount_minor), update (retired_at) on prices to latchkey_app;
-- Paid, refunded and disputed is what the provider says; an organization orders, cancels and asks.
grant select, insert (id, organization_id, ordered_by, template_id, price_id, amount_minor, currency, license, template_name, provider),
  update (refund_requested_at, refund_reason_code, updated_at) on orders to latchkey_app;
grant select on entitlements to latchkey_app;
grant select, insert, update, delete on prices, orders, payment_events, entitlements to latchkey_platform;
