-- requires: 0005_access
-- The application shows one field for the name: the whole name moves into given_name. Nobody edited anything, so
-- updated_at stays.
alter table public.wedding_people disable trigger touch;

update public.wedding_people
set given_name = full_name, family_name = ''
where family_name <> '';

alter table public.wedding_people enable trigger touch;
