drop schema api;
drop function app.currency_ok(text);
drop function app.keep_tenant();
drop function app.touch_updated_at();
drop function app.tz_ok(text);
drop type app.uuid_range;
drop function app.uuid_v7();
drop schema app;
