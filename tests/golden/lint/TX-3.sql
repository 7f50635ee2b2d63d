--- bad
set lock_timeout = 0;
set local statement_timeout = '1h';
--- good
set local work_mem = '1GB';
