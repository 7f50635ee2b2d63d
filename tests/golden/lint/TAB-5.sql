--- bad
-- transaction: none
drop schema shop cascade;
drop database shop;
--- good
drop schema shop;
