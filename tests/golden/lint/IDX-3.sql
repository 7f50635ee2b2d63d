--- bad
reindex table app.orders;
--- good
-- transaction: none
reindex table concurrently app.orders;
reindex (concurrently true) index app.orders_note;
