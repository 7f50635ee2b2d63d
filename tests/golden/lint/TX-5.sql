--- bad
do $$ begin
  update app.orders set note = null where id < 10;
  commit;
end $$;
--- good
-- transaction: none
do $$ begin
  update app.orders set note = null where id < 10;
  commit;
end $$;
--- next
do $$ begin perform commit from app.log; /* commit; */ raise notice 'commit;'; end $$;
