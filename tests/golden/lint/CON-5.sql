--- bad
alter table app.bookings add constraint apart exclude using gist (room with =, during with &&);
--- good
create table app.fresh (room int, during tstzrange);
alter table app.fresh add constraint apart exclude using gist (room with =, during with &&);
