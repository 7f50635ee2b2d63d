-- The cases run here and not from outside: a round trip each would take most of the time.
create temporary table cases (
  n integer primary key, tab text not null, layer text not null, role text not null, claims text not null,
  replica boolean not null, kind text not null, statement text not null, expected text not null
);
create index on cases (tab, layer, n);

-- the rows as they were laid, to tell which ones a statement without a WHERE has reached
create temporary table laid (tab text not null, id uuid not null);

-- what a statement comes to, as text: `rows ID,ID`, or `refused SQLSTATE` with what refused a 42501; then all is undone
create function pg_temp.outcome(c cases, since bigint) returns text
language plpgsql as $$
declare
  got text;
  message text;
  touched bigint;
begin
  if c.replica then  -- no trigger and no foreign key stands before or behind the policy
    perform set_config('session_replication_role', 'replica', true);
  end if;
  perform set_config('request.jwt.claims', c.claims, true), set_config('role', c.role, true);
  if c.kind = 'select' then
    execute c.statement into got;
    got := 'rows ' || coalesce(got, '');
  else
    execute c.statement;
    get diagnostics touched = row_count;
    if touched > 0 and not c.replica then
      set constraints all immediate;  -- what a commit would ask
    end if;
    perform set_config('role', 'none', true);
    got := case
      when c.kind = 'insert' then 'added ' || touched
      when c.kind = 'try' or touched = 0 then 'rows '
      else 'rows ' || pg_temp.touched(c, since) end;
  end if;
  raise exception using errcode = 'UNDO0';
exception
  when sqlstate 'UNDO0' then
    return got;
  when others then
    get stacked diagnostics message = message_text;
    return 'refused ' || sqlstate || case
      when sqlstate <> '42501' then ''
      when message like '%row-level security%' then ' policy'
      when message ~ '^permission denied for (table|view|schema) ' and message like '% ' || (string_to_array(c.tab, '.'))[
        case when message like '%schema%' then 1 else 2 end] then ' privilege'
      else ' ' || message end;
end $$;

create function pg_temp.touched(c cases, since bigint) returns text
language plpgsql as $$
declare
  found text;
begin
  if c.kind = 'delete' then
    execute format('select string_agg(id::text, %L order by id::text) from laid where tab = %L
      and id not in (select id from %s)', ',', c.tab, c.tab) into found;
  else  -- a row that this transaction has written
    execute format('select string_agg(id::text, %L order by id::text) from %s where xmin::text::bigint >= %s',
      ',', c.tab, since) into found;
  end if;
  return found;
end $$;

-- the cases whose outcome is another than expected; all of them or the first
create function pg_temp.failures(which text, in_layer text, only_first boolean) returns table (n integer, got text)
language plpgsql as $$
declare
  c cases;
  since bigint := pg_current_xact_id()::text::bigint;
begin
  for c in select * from cases where tab = which and layer = in_layer order by cases.n loop
    got := pg_temp.outcome(c, since);
    if got is distinct from c.expected then
      n := c.n;
      return next;
      exit when only_first;
    end if;
  end loop;
end $$;
