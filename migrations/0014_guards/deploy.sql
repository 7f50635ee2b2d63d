-- requires: 0012_compliance, 0013_audit
-- What the database itself refuses, whoever asks, service_role included: writes while the platform is read-only (WS002),
-- changes of what was agreed for a wedding whose day is near (WS001), and an organization without an owner (WS004).
-- Triggers see neither DDL, nor TRUNCATE of a table in schema ops, nor a superuser's session_replication_role: a
-- deployment therefore asks deploy_window() by itself.
create schema ops;
comment on schema ops is 'the platform''s own switches and locks; the API''s users cannot reach it';
grant usage on schema ops to service_role;

-- One clock for everything below. An owner may set another one for a session, which is how tests meet a wedding day
-- (set wedsync.clock = '2027-06-12 10:00Z'). Anybody can set it, but it only counts where the login itself belongs to
-- the owner of this function: SET ROLE, which is how the API becomes somebody, does not change session_user.
create function ops.clock() returns timestamptz
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp
  as $$
declare
  chosen constant text := nullif(current_setting('wedsync.clock', true), '');
begin
  if chosen is not null and pg_has_role(session_user, current_user, 'member') then
    return chosen::timestamptz;
  end if;
  return statement_timestamp();  -- not now(): a transaction left open would keep the time it began
end
$$;
comment on function ops.clock() is 'the time of the statement, or the one an owner set for the session';

-- -- the platform's switch ---------------------------------------------------------------------------------------------
create table ops.write_gate (
  id uuid primary key default '00000000-0000-4000-8000-000000000000'
    check (id = '00000000-0000-4000-8000-000000000000'),  -- one row
  mode text not null default 'open' check (mode in ('open', 'read_only')),
  reason text check (length(reason) between 1 and 500),
  until timestamptz,
  set_by text,
  set_at timestamptz,
  check (mode = 'open' or reason is not null),
  check (until > set_at),
  check ((set_by is null) = (set_at is null))  -- null as long as nobody turned it: the same wherever it is deployed
);
insert into ops.write_gate default values;
create trigger audit_update after update on ops.write_gate
  referencing old table as old_rows new table as new_rows for each statement execute function audit.write();
comment on table ops.write_gate is 'whether the platform takes writes: one row, changed by set_write_gate()';

create function ops.set_write_gate(mode text, reason text default null, until timestamptz default null) returns void
  language sql volatile security definer set search_path = pg_catalog, pg_temp
  as $$
    insert into ops.write_gate as g (mode, reason, until, set_by, set_at)
    values (set_write_gate.mode, set_write_gate.reason, set_write_gate.until,
            coalesce((select auth.uid())::text, session_user), ops.clock())
    on conflict (id) do update
      set (mode, reason, until, set_by, set_at)
        = (excluded.mode, excluded.reason, excluded.until, excluded.set_by, excluded.set_at)
  $$;
comment on function ops.set_write_gate(text, text, timestamptz) is
  'open the platform, or make it read_only: for a reason, and until a time if one is given';

-- Once a statement, not once a row; one page that is always cached. A statement that has begun goes on, the next one of
-- any session sees the switch, except inside a transaction that keeps its snapshot (REPEATABLE READ and above).
create function ops.check_write_gate() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp
  as $$
declare
  gate record;
begin
  select g.reason, g.until into gate from ops.write_gate as g where g.mode = 'read_only';
  if not found or gate.until <= ops.clock() then
    return null;
  end if;
  raise exception 'the platform takes no writes: %', gate.reason
    using errcode = 'WS002',
          hint = coalesce('It is read-only until ' || ops.shown(gate.until) || '.', 'It is read-only until further notice.');
end
$$;
comment on function ops.check_write_gate() is 'trigger: refuses every write while the platform is read-only (WS002)';

create function ops.shown(at timestamptz) returns text
  language sql immutable strict parallel safe set search_path = pg_catalog, pg_temp
  as $$ select to_char(at at time zone 'UTC', 'YYYY-MM-DD HH24:MI "UTC"') $$;
comment on function ops.shown(timestamptz) is 'a time as messages name it, the same in every session';

-- -- a wedding's lock --------------------------------------------------------------------------------------------------
-- From the first moment of the day before until six in the morning after, on the clocks of the place. A day begins just
-- after the last moment of the one before it: where summer time begins or ends at midnight, 00:00 is not there or is
-- there twice. The interval has no days in it, so that the session's time zone does not matter.
create function ops.wedding_lock(wedding_date date, time_zone text) returns tstzrange
  language sql immutable strict parallel safe set search_path = pg_catalog, pg_temp
  as $$
    select tstzrange(
      ((wedding_date - 1)::timestamp - interval '1 microsecond') at time zone time_zone + interval '1 microsecond',
      ((wedding_date + 1)::timestamp + interval '6 hours') at time zone time_zone)
  $$;
comment on function ops.wedding_lock(date, text) is 'when the wedding of this date and place is locked';

-- No foreign key: what was done stays on record, whatever becomes of the wedding.
create table ops.wedding_lock_overrides (
  id uuid primary key default app.uuid_v7(),
  wedding_id uuid not null,
  reason text not null check (length(reason) between 1 and 500),
  until timestamptz not null,
  set_by text not null,
  set_at timestamptz not null,
  check (until > set_at and until <= set_at + interval '48 hours')  -- for an emergency, not for good
);
create index wedding_lock_overrides_wedding_id_idx on ops.wedding_lock_overrides (wedding_id, until);
comment on table ops.wedding_lock_overrides is 'who lifted a wedding''s lock, for how long and why: only ever added to';

create function ops.override_wedding_lock(wedding_id uuid, reason text, until timestamptz) returns void
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
  as $$
begin
  if not exists (select from public.weddings as w where w.id = override_wedding_lock.wedding_id) then
    raise exception 'there is no wedding %', wedding_id using errcode = 'no_data_found';
  end if;
  insert into ops.wedding_lock_overrides (wedding_id, reason, until, set_by, set_at)
  values (wedding_id, reason, until, coalesce((select auth.uid())::text, session_user), ops.clock());
end
$$;
comment on function ops.override_wedding_lock(uuid, text, timestamptz) is
  'lift the lock of one wedding in an emergency: for a reason, for 48 hours at most, on record';

-- Null where it is not locked. The dates come first: they are cheap, and a date too far away for a timestamp never
-- reaches the exact question.
create function ops.locked_until(wedding_date date, time_zone text, status text, at timestamptz) returns timestamptz
  language sql immutable strict parallel safe set search_path = pg_catalog, pg_temp
  as $$
    select case
      when status in ('planning', 'confirmed')
        and wedding_date between (at at time zone 'UTC')::date - 2 and (at at time zone 'UTC')::date + 3
      then (select upper(l.during) from ops.wedding_lock(wedding_date, time_zone) as l (during) where l.during @> at)
    end
  $$;
comment on function ops.locked_until(date, text, text, timestamptz) is 'when the lock that is on at this time ends';

create function ops.refuse_locked(wedding_id uuid, until timestamptz) returns void
  language plpgsql stable set search_path = pg_catalog, pg_temp
  as $$
begin
  if until is null or exists (
    select from ops.wedding_lock_overrides as o
    where o.wedding_id = refuse_locked.wedding_id and o.set_at <= ops.clock() and o.until > ops.clock()
  ) then
    return;
  end if;
  raise exception 'the wedding is locked until %', ops.shown(refuse_locked.until)
    using errcode = 'WS001',
          hint = 'What was agreed for it does not change around its day. In an emergency the platform''s staff can lift the lock.';
end
$$;
comment on function ops.refuse_locked(uuid, timestamptz) is 'raises WS001, unless the lock was lifted';

create function ops.require_unlocked(wedding_id uuid) returns void
  language sql stable set search_path = pg_catalog, pg_temp
  as $$
    select ops.refuse_locked(w.id, ops.locked_until(w.wedding_date, w.time_zone, w.status, ops.clock()))
    from public.weddings as w
    where w.id = require_unlocked.wedding_id
  $$;
comment on function ops.require_unlocked(uuid) is 'raises WS001 if this wedding is locked now';

-- the wedding itself: neither out of its lock, nor into one
create function ops.keep_locked_wedding() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp
  as $$
begin
  perform ops.refuse_locked(old.id, ops.locked_until(old.wedding_date, old.time_zone, old.status, ops.clock()));
  if tg_op = 'DELETE' then
    return old;
  end if;
  perform ops.refuse_locked(new.id, ops.locked_until(new.wedding_date, new.time_zone, new.status, ops.clock()));
  return new;
end
$$;
comment on function ops.keep_locked_wedding() is 'trigger: the date, place and state of a locked wedding stay (WS001)';

-- What hangs on a wedding. A row may not be moved into a locked wedding either; but only a supplier that works there is
-- told, or the answer for a key learnt elsewhere would differ from that for one that does not exist.
create function ops.keep_at_locked_wedding() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp
  as $$
begin
  perform ops.require_unlocked(old.wedding_id);
  if tg_op = 'DELETE' then
    return old;
  end if;
  if new.wedding_id is distinct from old.wedding_id and exists (
    select from public.wedding_vendors as v
    where v.wedding_id = new.wedding_id and v.organization_id = new.organization_id
  ) then
    perform ops.require_unlocked(new.wedding_id);
  end if;
  return new;
end
$$;
comment on function ops.keep_at_locked_wedding() is 'trigger: what was agreed for a locked wedding stays (WS001)';

create function ops.keep_invoice_of_locked_wedding() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp
  as $$
begin
  perform ops.require_unlocked(c.wedding_id)
  from public.contracts as c
  where c.organization_id = old.organization_id and c.id = old.contract_id;
  return new;
end
$$;
comment on function ops.keep_invoice_of_locked_wedding() is
  'trigger: what is invoiced for a contract of a locked wedding stays (WS001)';

-- Exactly what was agreed, and deleting it. Never what a wedding day is made of: checking in, answers, seats, the running
-- order, messages, drafts, notifications, payments, a replacement that is booked or hired at the last minute.
-- WHEN lets those pass who write a column's old value back, as many clients do. Each column is compared by itself: rows
-- of three would come out of a restore with other parentheses, and look changed. None of them is ever null but one.
create trigger wedding_lock before update of wedding_date, time_zone, status on public.weddings for each row
  when (old.wedding_date <> new.wedding_date or old.time_zone <> new.time_zone or old.status <> new.status)
  execute function ops.keep_locked_wedding();
create trigger wedding_lock_row before delete on public.weddings for each row
  execute function ops.keep_locked_wedding();

create trigger wedding_lock before update of status on public.wedding_vendors for each row
  when (old.status = 'accepted' and new.status <> 'accepted') execute function ops.keep_at_locked_wedding();
create trigger wedding_lock_row before delete on public.wedding_vendors for each row
  execute function ops.keep_at_locked_wedding();

create trigger wedding_lock_row before delete on public.guests for each row
  execute function ops.keep_at_locked_wedding();
create trigger wedding_lock_row before delete on public.households for each row
  execute function ops.keep_at_locked_wedding();

create trigger wedding_lock before update of wedding_id, title, body, total_minor, currency, status on public.contracts
  for each row
  when (old.wedding_id is distinct from new.wedding_id or old.title <> new.title or old.body <> new.body
        or old.total_minor <> new.total_minor or old.currency <> new.currency or old.status <> new.status)
  execute function ops.keep_at_locked_wedding();
create trigger wedding_lock_row before delete on public.contracts for each row
  execute function ops.keep_at_locked_wedding();

-- a booking that is only held was not agreed yet, and has to be able to expire
create trigger wedding_lock before update of wedding_id, resource_id, during, status on public.bookings for each row
  when ((old.status = 'confirmed'
         and (old.resource_id <> new.resource_id or old.during <> new.during or old.status <> new.status))
        or ((old.status = 'confirmed' or new.status = 'confirmed') and old.wedding_id is distinct from new.wedding_id))
  execute function ops.keep_at_locked_wedding();
create trigger wedding_lock_row before delete on public.bookings for each row
  when (old.status = 'confirmed') execute function ops.keep_at_locked_wedding();

-- the amounts of an issued invoice never change (WS005); what is left is to declare it void
create trigger wedding_lock before update of status on public.invoices for each row
  when (old.status = 'issued' and new.status = 'void') execute function ops.keep_invoice_of_locked_wedding();

-- -- an organization keeps an owner ------------------------------------------------------------------------------------
-- At COMMIT, so that an organization may be handed over, or taken down, in any order. Two owners who remove each other at
-- the same time meet at the organization's row: the second one looks again once the first has committed. In a transaction
-- that keeps its snapshot looking again shows nothing new; there the remaining owner's row is locked, which fails (40001)
-- if it is gone meanwhile.
create function ops.keep_owner() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp
  as $$
begin
  perform from public.organizations as o
  where o.id = old.organization_id and o.status = 'active'
  for no key update;
  if not found then
    return null;
  end if;
  if current_setting('transaction_isolation') in ('repeatable read', 'serializable') then
    perform from public.memberships as m
    where m.organization_id = old.organization_id and m.role = 'owner' and m.status = 'active'
    for share;
  else
    perform from public.memberships as m
    where m.organization_id = old.organization_id and m.role = 'owner' and m.status = 'active';
  end if;
  if not found then
    raise exception 'an organization keeps at least one active owner'
      using errcode = 'WS004', hint = 'Make somebody else an owner first.';
  end if;
  return null;
end
$$;
comment on function ops.keep_owner() is 'trigger: an organization keeps at least one active owner (WS004)';

create constraint trigger keep_owner after update of role, status or delete on public.memberships
  deferrable initially deferred for each row
  when (old.role = 'owner' and old.status = 'active') execute function ops.keep_owner();

-- -- what a deployment asks --------------------------------------------------------------------------------------------
create function ops.is_saturday(time_zone text, lower timestamptz, upper timestamptz) returns boolean
  language sql immutable strict parallel safe set search_path = pg_catalog, pg_temp
  as $$
    select day + (13 - extract(isodow from day)::integer) % 7 <= (upper at time zone time_zone)::date
    from (select (lower at time zone time_zone)::date) as first (day)
  $$;
comment on function ops.is_saturday(text, timestamptz, timestamptz) is 'whether it is Saturday there at some time of a window';

-- Whether something may be done to this database from `lower` to `upper`, both included, for the weddings' sake. There is
-- no clock in here: the times are the caller's.
--   open        no wedding is locked in that time
--   restricted  some are: only for what nobody notices
--   closed      it is Saturday where one of them takes place, or the platform takes no writes
-- `next_release` is when the first of the locks ends, `next_open` when the window could begin instead without meeting
-- any; null where that is more than two weeks away, or with nothing locked.
create function ops.deploy_window(
  lower timestamptz, upper timestamptz,
  out verdict text, out reasons text[], out weddings_locked integer, out next_release timestamptz,
  out next_open timestamptz, out organizations_touched integer, out saturday_zones text[]
)
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp
  as $$
declare
  -- in seconds: a number of days would be longer or shorter by the time zone of the session
  lasting interval;
  gate record;
begin
  if lower is null or upper is null or lower > upper or not isfinite(lower) or not isfinite(upper) then
    raise exception 'a window has a beginning and an end' using errcode = 'invalid_parameter_value';
  end if;
  lasting := make_interval(secs => extract(epoch from upper - lower)::double precision);

  -- the dates first, through weddings_upcoming_idx and two weeks beyond the window; then exactly
  with near as (
    select w.id, w.time_zone, ops.wedding_lock(w.wedding_date, w.time_zone) as during
    from public.weddings as w
    where w.status in ('planning', 'confirmed')
      and w.wedding_date between (deploy_window.lower at time zone 'UTC')::date - 2
                             and (deploy_window.upper at time zone 'UTC')::date + 17
  ), locked as (
    select n.* from near as n where n.during && tstzrange(deploy_window.lower, deploy_window.upper, '[]')
  ), taken as (
    select range_agg(tstzrange(lower(n.during) - lasting, upper(n.during))) as starts from near as n
  )
  select
    (select count(*) from locked),
    (select min(upper(l.during)) from locked as l),
    (select upper(r.starts) from taken as t, unnest(t.starts) as r (starts) where r.starts @> deploy_window.lower),
    (select count(distinct v.organization_id) from public.wedding_vendors as v
     where v.status = 'accepted' and v.wedding_id in (select l.id from locked as l)),
    array(select distinct l.time_zone collate "C" from locked as l
          where ops.is_saturday(l.time_zone, deploy_window.lower, deploy_window.upper) order by 1)
  into weddings_locked, next_release, next_open, organizations_touched, saturday_zones;
  if next_open > lower + interval '336 hours' then
    next_open := null;
  end if;

  select g.reason into gate from ops.write_gate as g
  where g.mode = 'read_only' and (g.until is null or g.until > lower);
  verdict := case
    when found or saturday_zones <> '{}' then 'closed'
    when weddings_locked > 0 then 'restricted'
    else 'open'
  end;
  reasons := array_remove(array[
    case when weddings_locked = 1 then 'a wedding is locked'
         when weddings_locked > 1 then weddings_locked || ' weddings are locked' end,
    'it is Saturday in ' || nullif(array_to_string(saturday_zones, ', '), ''),
    'the platform takes no writes: ' || gate.reason], null);
end
$$;
comment on function ops.deploy_window(timestamptz, timestamptz) is
  'whether a deployment may run from one time to another, for the weddings'' sake; both times are the caller''s';

-- -- every table the platform writes -----------------------------------------------------------------------------------
create trigger write_gate before insert or update or delete or truncate on public.organizations
  for each statement execute function ops.check_write_gate();
create trigger write_gate before insert or update or delete or truncate on public.profiles
  for each statement execute function ops.check_write_gate();
create trigger write_gate before insert or update or delete or truncate on public.memberships
  for each statement execute function ops.check_write_gate();
create trigger write_gate before insert or update or delete or truncate on public.invitations
  for each statement execute function ops.check_write_gate();
create trigger write_gate before insert or update or delete or truncate on public.api_keys
  for each statement execute function ops.check_write_gate();
create trigger write_gate before insert or update or delete or truncate on public.weddings
  for each statement execute function ops.check_write_gate();
create trigger write_gate before insert or update or delete or truncate on public.wedding_people
  for each statement execute function ops.check_write_gate();
create trigger write_gate before insert or update or delete or truncate on public.wedding_vendors
  for each statement execute function ops.check_write_gate();
create trigger write_gate before insert or update or delete or truncate on public.wedding_events
  for each statement execute function ops.check_write_gate();
create trigger write_gate before insert or update or delete or truncate on public.timeline_items
  for each statement execute function ops.check_write_gate();
create trigger write_gate before insert or update or delete or truncate on public.clients
  for each statement execute function ops.check_write_gate();
create trigger write_gate before insert or update or delete or truncate on public.client_notes
  for each statement execute function ops.check_write_gate();
create trigger write_gate before insert or update or delete or truncate on public.tasks
  for each statement execute function ops.check_write_gate();
create trigger write_gate before insert or update or delete or truncate on public.households
  for each statement execute function ops.check_write_gate();
create trigger write_gate before insert or update or delete or truncate on public.guests
  for each statement execute function ops.check_write_gate();
create trigger write_gate before insert or update or delete or truncate on public.rsvps
  for each statement execute function ops.check_write_gate();
create trigger write_gate before insert or update or delete or truncate on public.seating_tables
  for each statement execute function ops.check_write_gate();
create trigger write_gate before insert or update or delete or truncate on public.seat_assignments
  for each statement execute function ops.check_write_gate();
create trigger write_gate before insert or update or delete or truncate on public.forms
  for each statement execute function ops.check_write_gate();
create trigger write_gate before insert or update or delete or truncate on public.form_versions
  for each statement execute function ops.check_write_gate();
create trigger write_gate before insert or update or delete or truncate on public.form_drafts
  for each statement execute function ops.check_write_gate();
create trigger write_gate before insert or update or delete or truncate on public.form_submissions
  for each statement execute function ops.check_write_gate();
create trigger write_gate before insert or update or delete or truncate on public.packages
  for each statement execute function ops.check_write_gate();
create trigger write_gate before insert or update or delete or truncate on public.resources
  for each statement execute function ops.check_write_gate();
create trigger write_gate before insert or update or delete or truncate on public.bookings
  for each statement execute function ops.check_write_gate();
create trigger write_gate before insert or update or delete or truncate on public.contracts
  for each statement execute function ops.check_write_gate();
create trigger write_gate before insert or update or delete or truncate on public.subscriptions
  for each statement execute function ops.check_write_gate();
create trigger write_gate before insert or update or delete or truncate on public.invoices
  for each statement execute function ops.check_write_gate();
create trigger write_gate before insert or update or delete or truncate on public.invoice_lines
  for each statement execute function ops.check_write_gate();
create trigger write_gate before insert or update or delete or truncate on public.stripe_events
  for each statement execute function ops.check_write_gate();
create trigger write_gate before insert or update or delete or truncate on public.payments
  for each statement execute function ops.check_write_gate();
create trigger write_gate before insert or update or delete or truncate on public.refunds
  for each statement execute function ops.check_write_gate();
create trigger write_gate before insert or update or delete or truncate on public.conversations
  for each statement execute function ops.check_write_gate();
create trigger write_gate before insert or update or delete or truncate on public.messages
  for each statement execute function ops.check_write_gate();
create trigger write_gate before insert or update or delete or truncate on public.notifications
  for each statement execute function ops.check_write_gate();
create trigger write_gate before insert or update or delete or truncate on public.files
  for each statement execute function ops.check_write_gate();
create trigger write_gate before insert or update or delete or truncate on public.consents
  for each statement execute function ops.check_write_gate();
create trigger write_gate before insert or update or delete or truncate on public.data_requests
  for each statement execute function ops.check_write_gate();

-- no policy: with row-level security on, only who bypasses it reads them, and nobody writes but through the functions
alter table ops.write_gate enable row level security;
alter table ops.wedding_lock_overrides enable row level security;
revoke all on ops.write_gate, ops.wedding_lock_overrides from public, anon, authenticated, service_role;
grant select on ops.write_gate, ops.wedding_lock_overrides to service_role;

revoke all on function
    ops.clock(), ops.shown(timestamptz), ops.set_write_gate(text, text, timestamptz), ops.check_write_gate(),
    ops.wedding_lock(date, text), ops.locked_until(date, text, text, timestamptz), ops.refuse_locked(uuid, timestamptz),
    ops.require_unlocked(uuid), ops.keep_locked_wedding(), ops.keep_at_locked_wedding(),
    ops.keep_invoice_of_locked_wedding(), ops.override_wedding_lock(uuid, text, timestamptz), ops.keep_owner(),
    ops.is_saturday(text, timestamptz, timestamptz), ops.deploy_window(timestamptz, timestamptz)
  from public;
grant execute on function
    ops.clock(), ops.set_write_gate(text, text, timestamptz), ops.wedding_lock(date, text),
    ops.override_wedding_lock(uuid, text, timestamptz), ops.deploy_window(timestamptz, timestamptz)
  to service_role;
