select not exists (select from public.wedding_people where family_name <> '') as one_field_for_the_name;

select t.tgenabled = 'O' as trigger_is_back_on
from pg_catalog.pg_trigger as t
where t.tgrelid = 'public.wedding_people'::regclass and t.tgname = 'touch';
