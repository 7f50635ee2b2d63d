--- bad
create table public.orders (id int);
create table lines (id int);
alter table public.lines add column note text;
--- good
create table public.orders (id int);
create table app.lines (id int);
create temporary table scratch (id int);
--- next
alter table orders enable row level security;
