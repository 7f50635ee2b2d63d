--- bad
-- transaction: none
vacuum (full, analyze) app.orders;
cluster app.orders using orders_pkey;
--- good
-- transaction: none
vacuum (analyze, full false) app.orders;
