-- Without CASCADE: whatever somebody else has built on these tables stops the revert instead of going with them.
drop table public.form_submissions;
drop table public.form_drafts;
alter table public.forms drop constraint forms_organization_id_id_published_version_id_fkey;
drop table public.form_versions;
drop table public.forms;
