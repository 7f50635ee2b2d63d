-- requires: 0001_compat
-- Schema app: what tables and policies use by reference. Nobody else has USAGE on it: an expression that is stored in
-- a table (default, check, policy) needs EXECUTE on its function, not the right to look up its name.
create schema app;

-- A key that grows with time keeps inserts at one end of the index: RFC 9562 version 7, the microseconds in the twelve
-- bits after the version. PostgreSQL 18 has uuidv7() itself; one definition for all majors lets a backup of one be
-- restored on another and compared with it.
create function app.uuid_v7() returns uuid
  language sql volatile parallel safe set search_path = pg_catalog, pg_temp
  as $$
    select (lpad(to_hex(t.us / 1000), 12, '0')
            || '7' || lpad(to_hex(t.us % 1000 * 4096 / 1000), 3, '0')
            || right(replace(gen_random_uuid()::text, '-', ''), 16))::uuid
    from (select floor(extract(epoch from clock_timestamp()) * 1000000)::bigint as us) as t
  $$;
comment on function app.uuid_v7() is 'a new key, ordered by time (UUID version 7)';

-- An exclusion constraint over a uuid needs a range type: uuid itself has no GiST operators without an extension.
create type app.uuid_range as range (subtype = uuid);
comment on type app.uuid_range is 'lets a uuid take part in an exclusion constraint';

-- A time zone is an IANA name such as Europe/London. PostgreSQL itself also takes POSIX strings (Nowhere/Land3 means
-- "three hours west") and any case, which the application's libraries do not; hence the pattern before the question.
create function app.tz_ok(name text) returns boolean
  language plpgsql immutable strict set search_path = pg_catalog, pg_temp
  as $$
begin
  if name !~ '^(UTC|Etc/GMT([+]([0-9]|1[0-2])|-([0-9]|1[0-4]))|[A-Z][A-Za-z_]+(/[A-Z][A-Za-z_-]+){1,2})$' then
    return false;
  end if;
  perform timestamptz '2000-01-01 00:00:00+00' at time zone name;
  return true;
exception when invalid_parameter_value then
  return false;
end
$$;
comment on function app.tz_ok(text) is 'whether this is the IANA name of a time zone this server knows';

-- updated_at is set here and nowhere else, so no client can forget or forge it.
create function app.touch_updated_at() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp
  as $$
begin
  new.updated_at := clock_timestamp();
  return new;
end
$$;
comment on function app.touch_updated_at() is 'trigger: keeps updated_at';

-- No row changes its tenant, whoever asks, service_role included: what hangs on it would go along unseen. The API's
-- roles are not even granted the column; this binds those who are.
create function app.keep_tenant() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp
  as $$
begin
  raise exception 'a row of %.% stays where it was made', tg_table_schema, tg_table_name
    using errcode = 'WS003', hint = 'Make a new row there, and delete this one.';
end
$$;
comment on function app.keep_tenant() is 'trigger: refuses to move a row to another tenant (WS003)';

-- The codes of ISO 4217 that are money in circulation: no metals, no funds, no test codes.
create function app.currency_ok(code text) returns boolean
  language sql immutable strict parallel safe set search_path = pg_catalog, pg_temp
  as $$
    select code ~ '^[A-Z]{3}$' and position(' ' || code || ' ' in
      ' AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CLP'
      ' CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF'
      ' IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD'
      ' MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB'
      ' RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD'
      ' UYU UZS VED VES VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG ') > 0
  $$;
comment on function app.currency_ok(text) is 'whether this is the code of a currency in circulation (ISO 4217)';

-- Schema api: the few functions that others call by name. Everything else of ours is reached through tables.
create schema api;
grant usage on schema api to service_role;

-- by name, and taken from everybody first: a trigger function is called by its trigger alone
revoke all on function app.uuid_v7(), app.tz_ok(text), app.touch_updated_at(), app.keep_tenant(), app.currency_ok(text)
  from public;
grant execute on function app.uuid_v7(), app.tz_ok(text), app.currency_ok(text) to authenticated, service_role;
