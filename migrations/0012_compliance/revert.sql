-- What people agreed to and asked for is kept: the law wants the proof. Locked first, or a row could come in between.
lock table public.consents, public.data_requests in access exclusive mode;
do $keep$
begin
  if exists (select from public.consents) or exists (select from public.data_requests) then
    raise exception 'consents or data requests are there'
      using errcode = 'WS006', hint = 'The law wants them kept: bring them to a safe place, then empty the tables by hand.';
  end if;
end
$keep$;

drop function api.residual_scan(text[]);
drop function api.erase_person(uuid, text, timestamptz);
drop function api.export_person(uuid, text);
drop function app.export_rows(text, uuid[], text);
drop function app.left_alone(uuid, text, text);
drop function app.erase_mentions(text, uuid[]);
drop function app.free_text();
drop function app.erase_rows(text, uuid[]);
drop function app.erasure_of(text);
drop function app.rows_of_person(uuid, text);
drop function app.subject(uuid, text);
drop function app.address_is_shared(text, uuid);
drop function app.masked_event(jsonb);
drop function app.address_pattern(text);
drop table app.personal_data;
drop table app.personal_rows;
drop table public.data_requests;
drop table public.consents;
