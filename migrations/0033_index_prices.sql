-- A price range, and the order of prices: without these, searches by price read all templates.
create index prices_by_amount on prices (currency, amount_minor, template_id) where retired_at is null;
create index templates_popular_paid on templates (popularity desc, id) where listing = 'listed' and pricing = 'paid';
