"""What is deployed while it is killed: tables that clients write to and read, and migrations that touch them."""

from __future__ import annotations

from tests.support.case import Case

_ITEMS = 400
READ = "select sum(price), count(name), (select count(*) from public.writes where value = '') from public.items"
ANSWER = (_ITEMS * (_ITEMS + 1) // 2, _ITEMS, 0)  # READ's, always: no migration changes what was there
BASE = f"""
create type public.mood as enum ('calm', 'glad');
create table public.writes (id bigint primary key, value text not null);
create table public.items (id bigint primary key, name text not null, price bigint not null,
                           mood public.mood not null default 'calm');
insert into public.items select n, 'item ' || n, n from generate_series(1, {_ITEMS}) as n;
create table public.switch (on_at timestamptz not null);
"""
_FAILS_SWITCHED = "do $$ begin if exists (select from public.switch) then raise exception 'planted'; end if; end $$;"
_NEW_MOOD = (
    "alter type public.mood rename to old_mood;\ncreate type public.mood as enum ('calm', 'glad');\n"
    "alter table public.items alter column mood drop default;\n"
    "alter table public.items alter column mood type public.mood using mood::text::public.mood;\n"
    "alter table public.items alter column mood set default 'calm';\ndrop type public.old_mood;"
)


def together(case: Case) -> None:
    """Migrations that may run in a transaction: one on the writer's table, one on the reader's, one of its own."""
    case.migration(
        "0001_note", "alter table public.writes add column note text;", "alter table public.writes drop column note;"
    )
    case.migration(
        "0002_stock",
        "alter table public.items add column stock integer not null default 7;\n"
        "create index items_price on public.items (price);",
        "drop index public.items_price;\nalter table public.items drop column stock;",
        "select min(stock) = 7 from public.items;",
    )
    case.migration(
        "0003_made",
        "create table public.made (id bigint primary key);\ninsert into public.made values (1), (2);\n"
        + _FAILS_SWITCHED,
        "drop table public.made;",
        "select count(*) = 2 from public.made;",
    )


def apart(case: Case) -> None:
    """A new value of an enum, statements that may not run in a transaction, and the new value in use."""
    case.migration("0001_merry", "alter type public.mood add value 'merry';", _NEW_MOOD)
    case.migration(
        "0002_index",
        "-- transaction: none\ncreate index concurrently items_name on public.items (name);\n"
        "reindex index concurrently public.items_name;\nvacuum public.items;",
        "drop index public.items_name;",
    )
    case.migration(
        "0003_use",
        "alter table public.items alter column mood set default 'merry';\n" + _FAILS_SWITCHED,
        "alter table public.items alter column mood set default 'calm';",
    )


# environment, and with it the setting `atomic`: test case
PLANS = {
    "all at once": ("case", together),
    "one by one": ("case_each", together),
    "outside of transactions": ("case", apart),
}
