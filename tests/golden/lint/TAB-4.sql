--- bad
alter table app.events detach partition app.events_2024;
--- good
-- transaction: none
alter table app.events detach partition app.events_2024 concurrently;
