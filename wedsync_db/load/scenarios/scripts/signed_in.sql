-- Who is signed in, as the API does it at the begin of each of its transactions.
select pg_catalog.set_config('request.jwt.claims',
  '{"sub":"10ad7e57-0000-8000-8000-' || pg_catalog.lpad(pg_catalog.to_hex(:user), 12, '0') || '"}', true);
set local role authenticated;
